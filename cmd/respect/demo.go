package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/embedded"
	"respect/guard/environment"
	"respect/guard/policy"
	"respect/shell"
)

func embeddedVersion() string {
	if !embedded.Available {
		return "none (left out of this build)"
	}
	return embedded.Version
}

type demoFlags struct {
	dir, env, serve string
	logs            bool
}

func (a *app) demo() *cobra.Command {
	var f demoFlags
	c := &cobra.Command{
		Use: "demo", Short: "an embedded server with sample data, and the guarded shell on it", Args: noArgs,
		Long: "demo starts a MongoDB-compatible server (FerretDB on SQLite) inside this process, loads sample data, marks it as production\nor staging, and opens the guarded shell on it. Nothing leaves this machine.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !embedded.Available {
				return errNoDemo
			}
			env, ok := environment.Parse(f.env)
			if !ok {
				return &usage{text: fmt.Sprintf("%q is no environment", f.env), hint: "--env production, staging or development"}
			}
			return a.runDemo(cmd.Context(), f, env)
		},
	}
	c.Flags().StringVar(&f.dir, "dir", "", "where data, record and backups are kept (default: a new temporary directory)")
	c.Flags().StringVar(&f.env, "env", "production", "what the server is marked as: production, staging or development")
	c.Flags().StringVar(&f.serve, "serve", "", "only serve, on this address (host:port), so that other clients can connect")
	c.Flags().BoolVar(&f.logs, "logs", false, "show the embedded server's own log")
	return c
}

func (a *app) runDemo(ctx context.Context, f demoFlags, env environment.Environment) (err error) {
	if _, err := a.policy(); err != nil {
		return err
	}
	dir, err := demoDir(f.dir)
	if err != nil {
		return err
	}
	if a.flags.stateDir == "" {
		a.flags.stateDir = filepath.Join(dir, "state")
	}
	server, err := a.startDemo(ctx, dir, f, env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	uri := server.URI() + "famigo"
	fmt.Fprintf(a.out, "respect demo: %s inside this process, marked %s\ndirectory: %s\nserving: %s\n", embedded.Version, env, dir, uri)
	if f.serve != "" {
		ctx, stop := interruptible(ctx)
		defer stop()
		<-ctx.Done()
		return nil
	}
	defer func() {
		fmt.Fprintf(a.err, "the record stays: respect --state-dir %s replay show\n", shellWord(a.flags.stateDir))
	}()
	return a.shell(ctx, place{uri: uri, inside: true}, nil)
}

// shellWord is a word as a shell takes it.
func shellWord(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@%", r))
	}) {
		return "'" + strings.ReplaceAll(safe(s), "'", `'\''`) + "'"
	}
	return s
}

func demoDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "respect-demo-")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o700)
}

// startDemo starts the server and, if its directory is new, loads the data. Nobody else is let in before that is done and the marker is there.
func (a *app) startDemo(ctx context.Context, dir string, f demoFlags, env environment.Environment) (*embedded.Server, error) {
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	var logs io.Writer
	if f.logs {
		logs = a.err
	}
	server, err := embedded.Start(embedded.Options{Dir: data, Address: f.serve, Logs: logs})
	if err != nil {
		return nil, err
	}
	if err := a.loadDemo(ctx, server.Inside(), env); err != nil {
		return nil, errors.Join(fmt.Errorf("load the demo's data: %w", err), server.Close())
	}
	if err := server.IndexIDs(ctx); err != nil {
		return nil, errors.Join(err, server.Close())
	}
	if err := server.Open(); err != nil { // whoever has connected meanwhile has waited
		return nil, errors.Join(err, server.Close())
	}
	return server, nil
}

// loadDemo loads the data through a gate like any other, whose evidence is that this process has started the server and it is empty. The
// marker is its last command: from then on the server is what it says.
func (a *app) loadDemo(ctx context.Context, uri string, env environment.Environment) (err error) {
	dir, err := a.stateDir()
	if err != nil {
		return err
	}
	s, err := a.open(dir, false, policy.Default()) // the files are about deployments; this server is ours, and empty
	if err != nil {
		return err
	}
	code := shell.ExitError
	defer func() { err = errors.Join(err, s.close(code)) }()
	d, err := s.gate.Connect(ctx, guard.Target{URI: uri, Ours: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close(ctx)) }()
	if !d.Observation().OurServer {
		if got := d.Environment(); got != env {
			return fmt.Errorf("the directory holds a server that is marked %s, not %s; choose another --dir", got, env)
		}
		code = shell.ExitDone
		return nil // data of an earlier run
	}
	st, err := s.gate.Begin(guard.Input{Text: "load the demo's data", Manner: "seed"})
	if err != nil {
		return err
	}
	if err := st.MarkOurs(ctx, d, env, func() error {
		for _, c := range demoCommands(time.Now()) {
			if err := send(ctx, st, d, "famigo", c); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	code = shell.ExitDone
	return nil
}

func send(ctx context.Context, st *guard.Statement, d *guard.Deployment, db string, cmd bson.D) error {
	raw, err := bson.Marshal(cmd)
	if err != nil {
		return err
	}
	_, err = st.Run(ctx, d, db, raw)
	return err
}

// demoCommands load the sample data: the same in every run, but for the dates.
func demoCommands(now time.Time) []bson.D {
	r := rand.New(rand.NewPCG(2011, 11)) //nolint:gosec // sample data
	families, devices, events := demoData(r, now)
	var out []bson.D
	for _, c := range []struct {
		name string
		docs []bson.D
	}{{"families", families}, {"devices", devices}, {"events", events}} {
		for i := 0; i < len(c.docs); i += 500 {
			out = append(out, bson.D{{Key: "insert", Value: c.name}, {Key: "documents", Value: c.docs[i:min(i+500, len(c.docs))]}})
		}
	}
	index := func(coll, field string, unique bool) bson.D {
		return bson.D{{Key: "createIndexes", Value: coll}, {Key: "indexes", Value: bson.A{bson.D{
			{Key: "key", Value: bson.D{{Key: field, Value: int32(1)}}}, {Key: "name", Value: field + "_1"}, {Key: "unique", Value: unique},
		}}}}
	}
	return append(out, index("families", "email", true), index("devices", "family", false), index("events", "device", false))
}

var (
	surnames = []string{"Adler", "Bauer", "Costa", "Dietrich", "Evans", "Fischer", "García", "Huber", "Ivanova", "Jansen", "Kim", "Lopez", "Meyer", "Nguyen", "Okafor", "Petrov", "Quinn", "Rossi", "Schmidt", "Tanaka", "Ulrich", "Vogel", "Weber", "Xu", "Yilmaz", "Zimmer"}
	forename = []string{"Ada", "Ben", "Cleo", "Dan", "Emma", "Finn", "Greta", "Hugo", "Ida", "Jonas", "Kira", "Leo", "Mia", "Noah", "Olga", "Paul", "Ruth", "Sam", "Tess", "Uma"}
	models   = []string{"Nexus 7", "Galaxy Tab", "iPad 2", "Kindle Fire", "Xoom"}
	plans    = []string{"trial", "family", "family", "family plus"}
	actions  = []string{"opened", "played", "won", "closed", "bought"}
)

func demoData(r *rand.Rand, now time.Time) (families, devices, events []bson.D) {
	pick := func(s []string) string { return s[r.IntN(len(s))] }
	day := func(days int) bson.DateTime {
		return bson.NewDateTimeFromTime(now.Add(-time.Duration(r.IntN(days*24*60)) * time.Minute).Truncate(time.Second))
	}
	id := func(kind byte, n int) bson.ObjectID {
		return bson.ObjectID{0x64, 0xb0, 0xc0, kind, 0, 0, 0, 0, 0, 0, byte(n >> 8), byte(n)}
	}
	for i := range 300 {
		name := pick(surnames)
		kids := bson.A{}
		for range 1 + r.IntN(3) {
			kids = append(kids, bson.D{{Key: "name", Value: pick(forename)}, {Key: "age", Value: int32(3 + r.IntN(10))}})
		}
		families = append(families, bson.D{
			{Key: "_id", Value: id(0xf1, i)}, {Key: "email", Value: fmt.Sprintf("%s%d@example.com", lower(name), i)}, {Key: "name", Value: "Family " + name},
			{Key: "children", Value: kids}, {Key: "plan", Value: pick(plans)}, {Key: "joined", Value: day(400)},
		})
	}
	for i := range 1000 {
		devices = append(devices, bson.D{
			{Key: "_id", Value: id(0xd1, i)}, {Key: "family", Value: id(0xf1, r.IntN(300))}, {Key: "model", Value: pick(models)},
			{Key: "battery", Value: int32(r.IntN(101))}, {Key: "seen", Value: day(30)},
		})
	}
	for i := range 1000 {
		events = append(events, bson.D{
			{Key: "_id", Value: id(0xe1, i)}, {Key: "device", Value: id(0xd1, r.IntN(1000))}, {Key: "action", Value: pick(actions)},
			{Key: "points", Value: int32(r.IntN(500))}, {Key: "at", Value: day(30)},
		})
	}
	return families, devices, events
}

func lower(s string) string {
	b := []rune{}
	for _, r := range s {
		switch {
		case r >= 'A' && r <= 'Z':
			b = append(b, r+'a'-'A')
		case r == 'í':
			b = append(b, 'i')
		default:
			b = append(b, r)
		}
	}
	return string(b)
}
