// Package wire is the only door to a server: it dials one mongod or mongos and runs one command
// at a time on it. Nothing else in this repository imports the driver's client.
//
//	Dial ─► discover (hello on each seed) ─► one address ─► main link   the statement's commands, one connection
//	                                                    └─► side link   background reads, one connection, dialled when first used
//
//	Run ─► permit ─► driver ─► command monitor ──compare──► valve open ─► socket
//	                                               └ differs or wrong connection ─► valve shut, nothing leaves
//
// What it promises to package guard:
//
//   - One Server is one server. The driver never chooses: it is given one address and told to
//     connect directly, because pooled commands could otherwise send a getMore to another mongos.
//   - What leaves is what was permitted. Before the driver writes a command to the socket its command
//     monitor hands it to the tap, which compares it, byte for byte, with the one command that Run was asked
//     to send, less the fields that a driver adds (lsid, $clusterTime, $db, $readPreference, apiVersion and its
//     kind). On a difference the valve below the driver (and below TLS) closes before the first byte: a tripwire
//     that prevents. Where the driver publishes an empty document, because a command carries credentials, names are compared.
//   - A command can be bound to a connection. The driver redials silently, inside a command; with
//     Options.Connection set, a command that would travel on any other connection does not leave.
//   - The driver retries nothing: not reads, not writes, not on overload.
//   - An error says whether the command may have reached the server (Error.Sent).
//   - A server session can be carried on: after a fail-over Elsewhere finds the new primary, and commands to it have the lsid
//     that those to the old one had, so that the server knows a command with a txnNumber again. The tap compares lsid too.
//
// Not promised: timeouts. A deadline on a context makes the driver add maxTimeMS to the command, which
// would make it another command; callers cancel instead. Not seen to run on a real deployment yet: SRV look-ups,
// TLS, authentication, replica-set discovery beyond what the wire-level fake answers.
package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Config says how to reach a deployment.
type Config struct {
	// URI is a connection string (mongodb:// or mongodb+srv://).
	// Source: https://www.mongodb.com/docs/manual/reference/connection-string/
	URI string
	// Password is called when the URI names a user and no password. Nil means that none can be had.
	Password func(user string) (string, error)
	// SelectionTimeout bounds the search for a server that answers, for each seed. Zero means serverSelectionTimeoutMS of the URI, or 10 s.
	SelectionTimeout time.Duration
}

// Server is one mongod or mongos. Its methods may be called from several goroutines;
// commands on one link are sent one after the other.
type Server struct {
	address string
	hello   bson.Raw
	opts    *options.ClientOptions
	main    *link

	sideOnce sync.Mutex
	side     *link
}

// Options belong to one command.
type Options struct {
	// Connection, when not empty, is the only connection (Server.Connection) that the command may travel on.
	Connection string
	// Background sends it on the side link, for reads that must not wait for a statement.
	Background bool
}

// Dial finds the server that a connection string means and connects to it: the only seed, the primary
// of a replica set, or the first mongos that answers. A secondary is accepted when the string names it alone:
// it can be read; what may be written there is the caller's to refuse (see Server.Hello).
func Dial(ctx context.Context, cfg Config) (*Server, error) {
	opts, err := clientOptions(cfg)
	if err != nil {
		return nil, err
	}
	address, hello, err := discover(ctx, opts)
	if err != nil {
		return nil, err
	}
	if want := wantedSet(cfg.URI); want != "" && stringField(hello, "setName") != want {
		return nil, fmt.Errorf("the connection string asks for the replica set %q, and %s %s", want, address, setOf(hello))
	}
	s := &Server{address: address, opts: opts, hello: hello}
	if s.main, err = connect(opts, address); err != nil {
		return nil, err
	}
	return s, nil
}

// Elsewhere finds the primary that a replica set has by now, among the seeds of the connection string and the members that are known, and
// connects to it. Commands on the main link of what it returns carry the server session of s, which must stay open until they are done: closing s ends
// the session. A connection string that names one server alone (directConnection) has no elsewhere.
func (s *Server) Elsewhere(ctx context.Context, members []string) (*Server, error) {
	if s.opts.Direct != nil && *s.opts.Direct {
		return nil, errors.New("the connection string asks for this server alone (directConnection=true)")
	}
	o := *s.opts
	o.Hosts = append(slices.Clone(s.opts.Hosts), members...)
	address, hello, err := discover(ctx, &o)
	if err != nil {
		return nil, err
	}
	if !boolField(hello, "isWritablePrimary") {
		return nil, fmt.Errorf("%s is no primary, and knows none", address)
	}
	next := &Server{address: address, opts: s.opts, hello: hello}
	if next.main, err = connect(s.opts, address); err != nil {
		return nil, err
	}
	next.main.carryOn = bytes.Clone(s.SessionID())
	return next, nil
}

// Address is the host and port of this server as it was dialled.
func (s *Server) Address() string { return s.address }

// Remote are the addresses, as numbers, that connections for commands and the driver's own were made to so far; none for a socket of this machine.
func (s *Server) Remote() []string { return s.main.dialled.list() }

// Hello is the server's answer to hello when it was discovered. Callers must not modify it.
func (s *Server) Hello() bson.Raw { return s.hello }

// Connection names the connection that the last command on the main link travelled on.
// It changes exactly when the driver has dialled again.
func (s *Server) Connection() string { return s.main.tap.lastConnection() }

// SessionID is the server session (the value of lsid) that commands on the main link carry.
func (s *Server) SessionID() bson.Raw { return s.main.sessionID() }

// Run sends cmd to database db and returns the server's whole reply, also when the server answers with an error: then
// the error is an *Error with Reply set. The bytes of cmd are not changed; they must have one element at least.
func (s *Server) Run(ctx context.Context, db string, cmd bson.Raw, opts Options) (bson.Raw, error) {
	l := s.main
	if opts.Background {
		var err error
		if l, err = s.sideLink(); err != nil {
			return nil, err
		}
	}
	return l.run(ctx, db, cmd, opts.Connection)
}

// Close ends the server sessions and closes the connections.
func (s *Server) Close(ctx context.Context) error {
	err := s.main.close(ctx)
	s.sideOnce.Lock()
	defer s.sideOnce.Unlock()
	if s.side != nil {
		err = errors.Join(err, s.side.close(ctx))
	}
	return err
}

func (s *Server) sideLink() (*link, error) {
	s.sideOnce.Lock()
	defer s.sideOnce.Unlock()
	if s.side == nil {
		l, err := connect(s.opts, s.address)
		if err != nil {
			return nil, err
		}
		s.side = l
	}
	return s.side, nil
}

// clientOptions takes from the connection string how to reach and authenticate, and nothing else:
// what it says of retries, write concern, read preference and timeouts would change what is sent.
func clientOptions(cfg Config) (*options.ClientOptions, error) {
	if err := checkScheme(cfg.URI); err != nil {
		return nil, err
	}
	// The driver validates some mechanisms only with a password. The one that is asked for does not pass through its parser.
	uri, asks := withStandIn(cfg.URI)
	o := options.Client().ApplyURI(uri)
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("connection string: %w", err)
	}
	if o.LoadBalanced != nil && *o.LoadBalanced {
		return nil, errors.New("connection string: loadBalanced=true is not supported yet: respect talks to one server that it can identify")
	}
	if asks && o.Auth != nil {
		if cfg.Password == nil {
			return nil, fmt.Errorf("connection string names user %q and no password, and there is no terminal to ask for it", o.Auth.Username)
		}
		pw, err := cfg.Password(o.Auth.Username)
		if err != nil {
			return nil, err
		}
		o.Auth.Password, o.Auth.PasswordSet = pw, true
	}
	timeout := cfg.SelectionTimeout
	if timeout == 0 && o.ServerSelectionTimeout != nil {
		timeout = *o.ServerSelectionTimeout
	}
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	o.Timeout, o.AutoEncryptionOptions, o.WriteConcern, o.ReadConcern, o.ReadPreference, o.ReplicaSet = nil, nil, nil, nil, nil, nil
	o.SetRetryWrites(false).SetRetryReads(false).SetMaxAdaptiveRetries(0).SetEnableOverloadRetargeting(false)
	o.SetServerMonitoringMode("poll").SetServerSelectionTimeout(timeout)
	o.SetMinPoolSize(0).SetMaxPoolSize(1).SetMaxConnIdleTime(0).SetAppName("respect")
	return o, nil
}

// discover asks each seed who it is. It changes nothing in opts.
func discover(ctx context.Context, opts *options.ClientOptions) (address string, hello bson.Raw, err error) {
	seeds := opts.Hosts
	if len(seeds) == 0 {
		return "", nil, errors.New("connection string: no host")
	}
	direct := opts.Direct != nil && *opts.Direct
	seen := map[string]bool{}
	var errs []error
	var only bson.Raw // what the only seed said, if it is a secondary
	for i := 0; i < len(seeds) && len(seen) < 50; i++ {
		host := seeds[i]
		if seen[host] {
			continue
		}
		seen[host] = true
		h, err := helloOf(ctx, opts, host)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", host, err))
			continue
		}
		switch {
		case boolField(h, "isWritablePrimary"), direct:
			return host, h, nil
		case len(opts.Hosts) == 1 && host == opts.Hosts[0]:
			only = h
			if p := stringField(h, "primary"); p != "" {
				seeds = append(seeds[:len(seeds):len(seeds)], p)
			}
		case stringField(h, "primary") != "":
			seeds = append(seeds[:len(seeds):len(seeds)], stringField(h, "primary"))
			errs = append(errs, fmt.Errorf("%s: is a secondary and names %s as primary", host, stringField(h, "primary")))
		default:
			errs = append(errs, fmt.Errorf("%s: is no primary and knows none", host))
		}
	}
	if only != nil {
		return opts.Hosts[0], only, nil
	}
	return "", nil, fmt.Errorf("no server found that can be used: %w", errors.Join(errs...))
}

// helloOf asks one server who it is. A port where nobody listens is found out at once, not after the driver has tried for as long as it may.
func helloOf(ctx context.Context, opts *options.ClientOptions, host string) (bson.Raw, error) {
	network, address := "tcp", host
	if strings.HasPrefix(host, "/") {
		network = "unix"
	} else if _, _, err := net.SplitHostPort(host); err != nil {
		address = net.JoinHostPort(strings.Trim(host, "[]"), "27017")
	}
	c, err := (&net.Dialer{Timeout: *opts.ServerSelectionTimeout}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	_ = c.Close() // nothing was said on it
	l, err := connect(opts, host)
	if err != nil {
		return nil, err
	}
	defer func() { _ = l.close(ctx) }()
	cmd, err := bson.Marshal(bson.D{{Key: "hello", Value: int32(1)}})
	if err != nil {
		return nil, err
	}
	return l.run(ctx, "admin", cmd, "")
}

// wantedSet is the replica set that a connection string names; "" for none. The driver is not told of it, since it is given one server to talk to.
func wantedSet(uri string) string {
	stand, _ := withStandIn(uri)
	o := options.Client().ApplyURI(stand)
	if o.ReplicaSet == nil {
		return ""
	}
	return *o.ReplicaSet
}

func setOf(hello bson.Raw) string {
	if name := stringField(hello, "setName"); name != "" {
		return fmt.Sprintf("is a member of %q", name)
	}
	return "is a member of none"
}

func boolField(doc bson.Raw, key string) bool {
	b, _ := doc.Lookup(key).BooleanOK()
	return b
}

func stringField(doc bson.Raw, key string) string {
	s, _ := doc.Lookup(key).StringValueOK()
	return s
}

// link is one connection to the server with one server session: cursors belong to a session, and a server refuses
// a getMore from another one.
type link struct {
	mu     sync.Mutex // one command at a time
	client *mongo.Client
	sess   *mongo.Session
	tap    *tap

	// carryOn is the lsid that the first session of this link takes over; nil for one of its own.
	carryOn bson.Raw

	dialled *dialled
}

func connect(base *options.ClientOptions, address string) (*link, error) {
	t := newTap()
	o := *base
	o.Hosts = []string{address}
	seen := &dialled{}
	o.SetDirect(true).SetDialer(&dialer{valve: &t.valve, dialled: seen}).SetMonitor(t.monitor())
	c, err := mongo.Connect(&o)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	return &link{client: c, tap: t, dialled: seen}, nil
}

func (l *link) run(ctx context.Context, db string, cmd bson.Raw, connection string) (bson.Raw, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := ctx.Deadline(); ok {
		panic("wire: internal error: a deadline would change the command")
	}
	if l.sess == nil {
		s, err := l.client.StartSession(options.Session().SetCausalConsistency(false))
		if err != nil {
			return nil, fmt.Errorf("start a server session: %w", err)
		}
		l.sess = s
		if err := l.takeOver(); err != nil {
			return nil, err
		}
	}
	if err := l.tap.permit(db, cmd, connection, l.sess.ID()); err != nil {
		return nil, err
	}
	reply, err := l.client.Database(db).RunCommand(mongo.NewSessionContext(ctx, l.sess), cmd).Raw()
	sent, trip := l.tap.done()
	if trip != nil {
		return nil, trip
	}
	if err == nil {
		return reply, nil
	}
	return reply, toError(err, sent)
}

// takeOver makes the link's session the one that another link had. The driver has no call for it; the document that it hands out is the one that
// it sends, in which a UUID stands in place of another. If a later driver hands out a copy, that is found out here; and if it sent
// something else than ID says, the tap would stop it.
func (l *link) takeOver() error {
	if l.carryOn == nil {
		return nil
	}
	have := l.sess.ID()
	if len(have) != len(l.carryOn) {
		return fmt.Errorf("the server session cannot be carried on: %v is no session like %v", l.carryOn, have)
	}
	copy(have, l.carryOn)
	if !bytes.Equal(l.sess.ID(), l.carryOn) {
		return errors.New("the server session cannot be carried on: the driver keeps its own")
	}
	return nil
}

func (l *link) sessionID() bson.Raw {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sess == nil {
		return nil
	}
	return l.sess.ID()
}

func (l *link) close(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tap.tripped() { // nothing leaves any more, so nothing is waited for
		gone, cancel := context.WithCancel(ctx)
		cancel()
		ctx = gone
	}
	if l.sess != nil {
		l.sess.EndSession(ctx)
	}
	return l.client.Disconnect(ctx)
}

// dialer makes connections that end in a valve.
type dialer struct {
	net.Dialer
	valve   *valve
	dialled *dialled
}

// dialled are the addresses that were reached. It is safe for concurrent use.
type dialled struct {
	mu        sync.Mutex
	addresses []string
}

func (d *dialled) add(a net.Addr) {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if ip := tcp.IP.String(); !slices.Contains(d.addresses, ip) {
		d.addresses = append(d.addresses, ip)
	}
}

func (d *dialled) list() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.addresses)
}

// DialContext implements options.ContextDialer.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.Dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.dialled.add(c.RemoteAddr())
	return &valved{Conn: c, valve: d.valve}, nil
}
