package shell

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/environment"
	"respect/guard/plan"
	"respect/replay"
	"respect/replay/journal"
	"respect/shell/render"
)

// word is a command of the shell itself. It is one when it stands first in an entry and what follows is not code.
type word struct {
	name, args, help string
	short            string         // args in the list of words; "" where they are not long
	pattern          *regexp.Regexp // of what may follow the name
	local            bool           // it asks no server
	run              func(s *Shell, ctx context.Context, args, text, manner string) int
}

var (
	nothing  = regexp.MustCompile(`^$`)
	oneOrTwo = regexp.MustCompile(`^[^\s()=;]+(?: [^\s()=;]+)?$`)
	oneWord  = regexp.MustCompile(`^[^\s()=;]+$`)
	maybe    = regexp.MustCompile(`^[^\s()=;.]*$`)
	code     = regexp.MustCompile(`(?s)^\S.*$`)
	showID   = regexp.MustCompile(`^(?:|list|show\s+\S+)$`)
	someN    = regexp.MustCompile(`^[1-9][0-9]{0,5}$|^$`)
	anID     = regexp.MustCompile(`^[^=;].*$`)
	undoing  = regexp.MustCompile(`(?s)^(?:[^\s()=;.{]*)(?:\s+fields)?(?:\s*\{.*\})?$`)
)

func words() []word {
	return []word{
		{name: "changes", args: "[show ID]", help: "what was changed from here", pattern: showID, local: true, run: changesWord},
		{name: "cls", help: "clear the screen", pattern: nothing, local: true, run: clearWord},
		{name: "details", args: "[ID]", help: "every document of the last preview, or of a change", pattern: maybe, local: true, run: detailsWord},
		{name: "diff", args: "ID", help: "one document of the last preview, before and after", pattern: anID, local: true, run: diffWordRun},
		{name: "env", help: "which environment this is, and why", pattern: nothing, local: true, run: envWord},
		{name: "exit", help: "leave", pattern: nothing, local: true, run: leave},
		{name: "full", help: "the last preview again, of all documents", pattern: nothing, run: fullWord},
		{name: "help", args: "[WORD|collection|cursor|database]", short: "[WORD]", help: "this list, one word, or an object's methods", pattern: maybe, local: true, run: helpWord},
		{name: "it", help: "the next documents of the last cursor", pattern: nothing, run: itWord},
		{name: "preview", args: "STATEMENT", help: "show what a statement would change, and change nothing", pattern: code, run: previewRun},
		{name: "quit", help: "leave", pattern: nothing, local: true, run: leave},
		{name: "redo", help: "make again what undo took back last", pattern: nothing, run: redoRun},
		{name: "resume", args: "[ID]", help: "do what is left of a change that did not end well", pattern: maybe, run: resumeRun},
		{name: "sample", args: "[N]", help: "some documents of the last preview, from all over it", pattern: someN, local: true, run: sampleWordRun},
		{name: "show", args: "dbs|collections|users|roles|profile|logs|log [NAME]", short: "dbs|collections|…", help: "what there is: users, roles, profile, logs, log NAME", pattern: oneOrTwo, run: showWord},
		{name: "undo", args: "[ID] [fields] [{FILTER}]", help: "take back the last change, this one, or a part of it", pattern: undoing, run: undoRun},
		{name: "use", args: "DATABASE", help: "switch to another database", pattern: oneWord, local: true, run: useRun},
	}
}

func clearWord(s *Shell, _ context.Context, _, _, _ string) int {
	if s.cfg.TTY != nil {
		fmt.Fprint(s.cfg.Out, "\x1b[H\x1b[2J")
	}
	return ExitDone
}

func envWord(s *Shell, _ context.Context, _, _, _ string) int {
	d := s.here()
	_, db := s.vm.Database()
	env, evidence := Standing(d, db)
	return s.evidence(env, d.Name(), evidence)
}

func previewRun(s *Shell, ctx context.Context, args, text, manner string) int {
	return s.previewWord(ctx, args, text, manner)
}

func redoRun(s *Shell, ctx context.Context, _, text, manner string) int {
	return s.redo(ctx, text, manner, guard.Execute)
}

func resumeRun(s *Shell, ctx context.Context, args, text, manner string) int {
	return s.Resume(ctx, args, text, manner)
}

func undoRun(s *Shell, ctx context.Context, args, text, manner string) int {
	return s.undoArgs(ctx, args, text, manner, guard.Execute)
}

func useRun(s *Shell, _ context.Context, args, _, _ string) int { return s.use(args) }

// findWord tells a word of the shell from JavaScript. What begins like one and goes on otherwise is JavaScript, except for show and use,
// which mongosh never takes as code.
func findWord(text string) (w word, args string, ok bool) {
	text = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), ";"))
	name, rest, _ := strings.Cut(text, " ")
	if i := strings.IndexAny(name, "\t\n"); i >= 0 {
		name, rest = text[:i], text[i+1:]
	}
	rest = strings.TrimSpace(rest)
	for _, w := range words() {
		if w.name == name && w.pattern.MatchString(rest) {
			return w, rest, true
		}
		if w.name == name && (name == "show" || name == "use") && !strings.HasPrefix(rest, "(") {
			return word{name: name, local: true, run: func(s *Shell, _ context.Context, _, _, _ string) int {
				s.say(fmt.Sprintf("error: %s wants one word: %s %s\n", name, name, w.args))
				return ExitError
			}}, rest, true
		}
	}
	return word{}, "", false
}

// Standing is the environment of a deployment for one of its databases, whose name may raise it, with the evidence.
func Standing(d *guard.Deployment, db string) (environment.Environment, []environment.Evidence) {
	env, evidence := d.Environment(), slices.Clone(d.Evidence())
	for _, e := range d.DatabaseEvidence(db) {
		env, evidence = environment.Max(env, e.Says), append(evidence, e)
	}
	return env, evidence
}

func leave(s *Shell, _ context.Context, _, _, _ string) int {
	s.exiting = true
	return ExitDone
}

// evidence prints which environment a deployment is, and why.
func (s *Shell) evidence(env environment.Environment, name string, evidence []environment.Evidence) int {
	if s.cfg.JSON != Pretty {
		return s.json(EvidenceJSON(env, name, evidence))
	}
	s.tell(s.cfg.Style.Evidence(env, name, evidence))
	return ExitDone
}

// Evidence is evidence.
func (s *Shell) Evidence(env environment.Environment, name string, evidence []environment.Evidence) int {
	return s.evidence(env, name, evidence)
}

// Classified is what classify --json prints.
type Classified struct {
	Environment string            `json:"environment"`
	Deployment  string            `json:"deployment"`
	Evidence    []replay.Evidence `json:"evidence"`
}

// EvidenceJSON is a classification for --json.
func EvidenceJSON(env environment.Environment, name string, evidence []environment.Evidence) Classified {
	out := Classified{env.String(), name, []replay.Evidence{}}
	for _, e := range evidence {
		out.Evidence = append(out.Evidence, e.Record())
	}
	return out
}

func itWord(s *Shell, ctx context.Context, _, text, manner string) int {
	st, err := s.cfg.Gate.Begin(s.input(text, manner, guard.Execute))
	if err != nil {
		s.say(render.SafeLines(err.Error()) + "\n")
		return ExitError
	}
	s.run.st = st
	docs, more, ok, err := s.vm.It(ctx)
	if err == nil {
		err = st.Settle(ctx)
	}
	s.run.st = nil
	s.renew()
	switch {
	case err != nil:
		st.Discard()
		return s.Failed(st, err)
	case !ok:
		s.message("no cursor")
	default:
		s.out(s.list(docs, more))
	}
	return codeOf(st)
}

func (s *Shell) use(name string) int {
	if strings.ContainsAny(name, "/\\. \"'$\x00") || len(name) > 63 {
		s.say(fmt.Sprintf("error: %s is not a valid database name\n", render.Quote(name)))
		return ExitError
	}
	t, _ := s.vm.Database()
	s.vm.Use(t, name)
	s.cfg.Database = name
	if s.cat != nil {
		s.cat.use(name)
	}
	s.message("switched to db " + name)
	return ExitDone
}

// read runs one read of the shell's own as a statement.
func (s *Shell) read(ctx context.Context, text, manner, db string, cmd bson.D) (bson.Raw, int) {
	st, err := s.cfg.Gate.Begin(s.input(text, manner, guard.Execute))
	if err != nil {
		s.say(render.SafeLines(err.Error()) + "\n")
		return nil, ExitError
	}
	raw, err := bson.Marshal(cmd)
	if err != nil {
		return nil, s.Failed(st, err)
	}
	r, err := st.Run(ctx, s.here(), db, raw)
	if err != nil {
		return nil, s.Failed(st, err)
	}
	reply, err := r.Raw(ctx)
	if err != nil {
		return nil, s.Failed(st, err)
	}
	return reply, ExitDone
}

func showWord(s *Shell, ctx context.Context, args, text, manner string) int {
	_, db := s.vm.Database()
	switch args {
	case "dbs", "databases":
		reply, code := s.read(ctx, text, manner, "admin", bson.D{{Key: "listDatabases", Value: int32(1)}})
		if code != ExitDone {
			return code
		}
		return s.showDatabases(reply)
	case "collections", "tables":
		reply, code := s.read(ctx, text, manner, db, bson.D{{Key: "listCollections", Value: int32(1)}, {Key: "cursor", Value: bson.D{{Key: "batchSize", Value: int32(10000)}}}})
		if code != ExitDone {
			return code
		}
		return s.showCollections(reply)
	}
	what, which, _ := strings.Cut(args, " ")
	if l, ok := listings[what]; ok && (which == "" || what == "log") {
		return s.showListing(ctx, l, which, text, manner)
	}
	s.say(fmt.Sprintf("error: there is nothing called %s to show; try: show dbs, show collections\n", render.Quote(args)))
	return ExitError
}

// listing is something to show that is the list in the reply to a command.
type listing struct {
	db   string // "" is the current one
	cmd  func(coll string) bson.D
	list []string // where the reply has it
}

// listings are those, by name, as mongosh has them.
var listings = map[string]listing{
	"users": {cmd: func(string) bson.D { return bson.D{{Key: "usersInfo", Value: int32(1)}} }, list: []string{"users"}},
	"roles": {cmd: func(string) bson.D {
		return bson.D{{Key: "rolesInfo", Value: int32(1)}, {Key: "showBuiltinRoles", Value: true}}
	}, list: []string{"roles"}},
	"profile": {cmd: func(string) bson.D {
		return bson.D{{Key: "find", Value: "system.profile"}, {Key: "sort", Value: bson.D{{Key: "ts", Value: int32(-1)}}}, {Key: "limit", Value: int32(5)}, {Key: "singleBatch", Value: true}}
	}, list: []string{"cursor", "firstBatch"}},
	"logs":            {db: "admin", cmd: func(string) bson.D { return bson.D{{Key: "getLog", Value: "*"}} }, list: []string{"names"}},
	"log":             {db: "admin", cmd: func(name string) bson.D { return bson.D{{Key: "getLog", Value: name}} }, list: []string{"log"}},
	"startupWarnings": {db: "admin", cmd: func(string) bson.D { return bson.D{{Key: "getLog", Value: "startupWarnings"}} }, list: []string{"log"}},
}

// showListing prints such a list: texts a line each, documents as they are printed anywhere.
func (s *Shell) showListing(ctx context.Context, l listing, which, text, manner string) int {
	if which == "" {
		which = "global"
	}
	db := l.db
	if db == "" {
		_, db = s.vm.Database()
	}
	cmd := l.cmd(which)
	reply, code := s.read(ctx, text, manner, db, cmd)
	if code != ExitDone {
		return code
	}
	arr, ok := reply.Lookup(l.list...).ArrayOK()
	values, err := arr.Values()
	if !ok || err != nil {
		return s.badReply(cmd[0].Key)
	}
	var docs render.List
	for _, v := range values {
		if line, ok := v.StringValueOK(); ok {
			s.message(line)
			continue
		}
		docs = append(docs, v.Document())
	}
	if len(docs) > 0 || len(values) == 0 && s.cfg.JSON == Pretty {
		s.out(s.list(docs, false))
	}
	return ExitDone
}

func (s *Shell) showDatabases(reply bson.Raw) int {
	arr, ok := reply.Lookup("databases").ArrayOK()
	if !ok {
		return s.badReply("listDatabases")
	}
	values, err := arr.Values()
	if err != nil {
		return s.badReply("listDatabases")
	}
	if s.cfg.JSON != Pretty {
		s.documents(values)
		return ExitDone
	}
	width := 0
	for _, v := range values {
		width = max(width, render.Width(render.Safe(v.Document().Lookup("name").StringValue())))
	}
	for _, v := range values {
		name := render.Safe(v.Document().Lookup("name").StringValue())
		size, _ := v.Document().Lookup("sizeOnDisk").AsFloat64OK()
		s.out(fmt.Sprintf("%s%s  %s\n", name, strings.Repeat(" ", width-render.Width(name)), render.Bytes(int64(size))))
	}
	return ExitDone
}

// message prints what a word of the shell answers with: a text, which is a string in JSON.
func (s *Shell) message(text string) {
	if s.cfg.JSON != Pretty {
		s.out(s.value(text))
		return
	}
	s.out(render.SafeLines(text) + "\n")
}

// notice says something that is neither a result nor an error; to a program, which reads standard output, as an object.
func (s *Shell) notice(text string) {
	if s.cfg.JSON != Pretty {
		s.json(struct {
			Notice string `json:"notice"`
		}{text})
		return
	}
	s.say(render.SafeLines(text) + "\n")
}

// Notice is notice.
func (s *Shell) Notice(text string) { s.notice(text) }

// documents prints documents of a reply as they are, in the order of their names.
func (s *Shell) documents(values []bson.RawValue) {
	var docs render.List
	for _, v := range values {
		docs = append(docs, v.Document())
	}
	sort.SliceStable(docs, func(i, j int) bool {
		a, _ := docs[i].(bson.Raw).Lookup("name").StringValueOK()
		b, _ := docs[j].(bson.Raw).Lookup("name").StringValueOK()
		return a < b
	})
	s.out(s.list(docs, false))
}

func (s *Shell) badReply(cmd string) int {
	s.say("error: the server's answer to " + cmd + " is not understood\n")
	return ExitError
}

func (s *Shell) showCollections(reply bson.Raw) int {
	arr, ok := reply.Lookup("cursor", "firstBatch").ArrayOK()
	if !ok {
		return s.badReply("listCollections")
	}
	values, err := arr.Values()
	if err != nil {
		return s.badReply("listCollections")
	}
	if s.cfg.JSON != Pretty {
		s.documents(values)
		return ExitDone
	}
	var lines []string
	for _, v := range values {
		line := render.Safe(v.Document().Lookup("name").StringValue())
		switch kind, _ := v.Document().Lookup("type").StringValueOK(); kind {
		case "view":
			line += "  [view]"
		case "timeseries":
			line += "  [time-series]"
		}
		lines = append(lines, line)
	}
	sort.Slice(lines, func(i, j int) bool {
		a, b := strings.HasPrefix(lines[i], "system."), strings.HasPrefix(lines[j], "system.")
		if a != b {
			return b
		}
		return lines[i] < lines[j]
	})
	for _, l := range lines {
		s.out(l + "\n")
	}
	return ExitDone
}

func (s *Shell) previewWord(ctx context.Context, args, text, manner string) int {
	switch w, rest, ok := findWord(args); {
	case ok && w.name == "undo":
		return s.undoArgs(ctx, rest, text, manner, guard.Preview)
	case ok && w.name == "redo":
		return s.redo(ctx, text, manner, guard.Preview)
	}
	s.previewed = args
	return s.statement(ctx, args, text, manner, guard.Preview)
}

func changesWord(s *Shell, _ context.Context, args, _, _ string) int {
	changes, err := s.changes()
	if err != nil {
		s.say(render.SafeLines(err.Error()) + "\n")
		return ExitError
	}
	if id, ok := strings.CutPrefix(args, "show"); ok {
		c, err := FindChange(changes, strings.TrimSpace(id))
		if err != nil {
			s.say("error: " + render.SafeLines(err.Error()) + "\n")
			return ExitError
		}
		return s.showChange(c)
	}
	if s.cfg.JSON != Pretty {
		list := []ChangeJSON{}
		for _, c := range changes {
			list = append(list, ToJSON(c))
		}
		return s.json(list)
	}
	s.tell(ListChanges(changes))
	return ExitDone
}

// showChange prints all that the record has of a change.
func (s *Shell) showChange(c *journal.Change) int {
	var text string
	var err error
	if s.cfg.JSON != Pretty {
		var full FullChangeJSON
		if full, err = ToFullJSON(c); err == nil {
			return s.json(full)
		}
	} else if text, err = ShowChange(c); err == nil {
		s.tell(text)
		return ExitDone
	}
	s.say("error: " + render.SafeLines(err.Error()) + "\n")
	return ExitError
}

// json prints what respect itself knows, as the command of the same name does with --json.
func (s *Shell) json(v any) int {
	text, err := IndentJSON(v)
	if err != nil {
		s.say("error: " + render.SafeLines(err.Error()) + "\n")
		return ExitError
	}
	s.out(text)
	return ExitDone
}

// detailsWord lists every document of the last preview, or of a change.
func detailsWord(s *Shell, _ context.Context, args, _, _ string) int {
	if s.cfg.JSON != Pretty {
		return s.lookJSON(args, "details", "")
	}
	return s.look(args, details)
}

func sampleWordRun(s *Shell, _ context.Context, args, _, _ string) int {
	if s.cfg.JSON != Pretty {
		return s.lookJSON("", "sample", args)
	}
	l, _ := lookFor(strings.TrimSpace("sample " + args))
	return s.look("", l)
}

func diffWordRun(s *Shell, _ context.Context, args, _, _ string) int {
	if s.cfg.JSON != Pretty {
		return s.lookJSON("", "diff", args)
	}
	l, _ := lookFor("diff " + args)
	return s.look("", l)
}

// subjects are the plans that somebody looks at: of the last preview, the one that was declined, or of a change.
func (s *Shell) subjects(id string) (out []subject, code int) {
	for _, seen := range s.cfg.Gate.Previews() {
		state := statePreviewed
		if seen.Declined {
			state = stateDeclined
		}
		out = append(out, subject{plan: seen.Plan, text: seen.Text, state: state})
	}
	if id == "" && len(out) > 0 {
		return out, ExitDone
	}
	c, code := s.changeNamed(id)
	if c == nil {
		return nil, code
	}
	p, err := plan.Open(changeDir(s.cfg.StateDir, c.ID), c.Intent.Digest)
	if err != nil {
		s.say("error: " + render.SafeLines(err.Error()) + "\n")
		return nil, ExitError
	}
	return []subject{{plan: p, text: c.Statement, state: stateOf(c), after: c.AfterHash()}}, ExitDone
}

// look shows something of the last preview, or of a change.
func (s *Shell) look(id string, l look) int {
	subjects, code := s.subjects(id)
	for _, x := range subjects {
		if err := l(x, s.cfg.Style, func(line string) error { s.out(line + "\n"); return nil }); err != nil {
			s.say("error: " + render.SafeLines(err.Error()) + "\n")
			return ExitError
		}
	}
	return code
}

// fullWord previews the last previewed statement once more, of all documents.
func fullWord(s *Shell, ctx context.Context, _, text, manner string) int {
	if s.previewed == "" {
		s.say("error: nothing was previewed yet: preview STATEMENT\n")
		return ExitError
	}
	in := s.input("preview "+s.previewed, manner, guard.Preview)
	if s.prompted != "" {
		in.Screen = s.prompted + text + "\n"
	}
	in.Full = true
	return s.run1(ctx, s.previewed, in)
}
