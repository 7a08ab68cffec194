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
	"respect/replay/journal"
	"respect/shell/js"
	"respect/shell/render"
)

// word is a command of the shell itself. It is one when it stands first in an entry and what follows is not code.
type word struct {
	name, args, help string
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
	undoing  = regexp.MustCompile(`(?s)^(?:[^\s()=;.{]*)(?:\s*\{.*\})?$`)
)

func words() []word {
	return []word{
		{"changes", "[show ID]", "what was changed from here", showID, true, changesWord},
		{"cls", "", "clear the screen", nothing, true, func(s *Shell, _ context.Context, _, _, _ string) int {
			if s.cfg.TTY != nil {
				fmt.Fprint(s.cfg.Out, "\x1b[H\x1b[2J")
			}
			return ExitDone
		}},
		{"details", "[ID]", "every document of the last preview, or of a change", maybe, true, detailsWord},
		{"diff", "ID", "one document of the last preview, before and after", anID, true, diffWordRun},
		{"env", "", "which environment this is, and why", nothing, true, func(s *Shell, _ context.Context, _, _, _ string) int {
			d := s.here()
			_, db := s.vm.Database()
			env, evidence := Standing(d, db)
			s.tell(s.cfg.Style.Evidence(env, d.Name(), evidence))
			return ExitDone
		}},
		{"exit", "", "leave", nothing, true, leave},
		{"full", "", "the last preview once more, of all documents, if it was an estimate", nothing, false, fullWord},
		{"help", "[collection|cursor|database]", "this list, or the methods of an object", maybe, true, helpWord},
		{"it", "", "the next documents of the last cursor", nothing, false, itWord},
		{"preview", "STATEMENT", "show what a statement would change, and change nothing", code, false, func(s *Shell, ctx context.Context, args, text, manner string) int {
			return s.previewWord(ctx, args, text, manner)
		}},
		{"quit", "", "leave", nothing, true, leave},
		{"redo", "", "make again what undo took back last", nothing, false, func(s *Shell, ctx context.Context, _, text, manner string) int {
			return s.redo(ctx, text, manner, guard.Execute)
		}},
		{"resume", "[ID]", "do what a change that was cut off, stopped or met others' work has left", maybe, false, func(s *Shell, ctx context.Context, args, text, manner string) int {
			return s.Resume(ctx, args, text, manner)
		}},
		{"sample", "[N]", "some documents of the last preview, spread over all of it", someN, true, sampleWordRun},
		{"show", "dbs|collections|users|roles|profile|logs|log [NAME]", "what there is", oneOrTwo, false, showWord},
		{"undo", "[ID] [{FILTER}]", "take back the last change that stands, or this one, or some of its documents", undoing, false, func(s *Shell, ctx context.Context, args, text, manner string) int {
			return s.undoArgs(ctx, args, text, manner, guard.Execute)
		}},
		{"use", "DATABASE", "switch to another database", oneWord, true, func(s *Shell, _ context.Context, args, _, _ string) int {
			return s.use(args)
		}},
	}
}

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

func helpWord(s *Shell, _ context.Context, args, _, _ string) int {
	if args != "" {
		object := strings.ToUpper(args[:1]) + strings.ToLower(args[1:])
		if text := js.Help(object); text != "" {
			s.out(text + "\n")
			return ExitDone
		}
		s.say(fmt.Sprintf("error: there is no help on %s; try collection, cursor or database\n", render.Safe(args)))
		return ExitError
	}
	var b strings.Builder
	for _, w := range words() {
		fmt.Fprintf(&b, "  %-34s %s\n", w.name+" "+w.args, w.help)
	}
	b.WriteString("\n  db.<collection>.find({…})          everything else is JavaScript, as in mongosh\n")
	s.out(b.String())
	return ExitDone
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

// undoArgs takes apart what stands behind undo: an id, a filter in braces, both or neither.
func (s *Shell) undoArgs(ctx context.Context, args, text, manner string, mode guard.Mode) int {
	id, only := args, ""
	if i := strings.IndexByte(args, '{'); i >= 0 {
		id, only = strings.TrimSpace(args[:i]), args[i:]
	}
	opts := UndoOptions{Only: only}
	return s.undo(ctx, id, opts, text, manner, mode)
}

// UndoOptions say more of what is to be taken back, and where.
type UndoOptions struct {
	Only string // a filter, as JavaScript; "" for all
	On   string // the deployment, if it is another than the one where the change was made
	// Change and Dir are a change that was made in another state directory, and where its files were unpacked; nil and "" for one that was made here.
	Change *journal.Change
	Dir    string
}

// Undo takes back a change, or the last one.
func (s *Shell) Undo(ctx context.Context, id string, opts UndoOptions, manner string) int {
	text := strings.TrimSpace("undo " + id)
	if opts.Only != "" {
		text += " " + opts.Only
	}
	return s.undo(ctx, id, opts, text, manner, guard.Execute)
}

func (s *Shell) undo(ctx context.Context, id string, opts UndoOptions, text, manner string, mode guard.Mode) int {
	var only bson.Raw
	if opts.Only != "" {
		var err error
		if only, err = s.vm.Filter(ctx, opts.Only); err != nil {
			s.say("error: " + render.SafeLines(err.Error()) + "\n")
			return ExitError
		}
	}
	c, code := opts.Change, ExitDone
	if c == nil {
		if c, code = s.changeNamed(id); c == nil {
			return code
		}
	}
	st, code := s.begin(text, manner, mode)
	if st == nil {
		return code
	}
	err := st.Undo(ctx, s.here(), c, guard.UndoOptions{Only: only, On: opts.On, Dir: opts.Dir})
	return s.ended(st, mode, err, "everything is already as it was before "+render.Safe(c.ID))
}

// Redo makes again what undo took back last.
func (s *Shell) Redo(ctx context.Context, opts UndoOptions, manner string) int {
	return s.redoWith(ctx, opts, "redo", manner, guard.Execute)
}

func (s *Shell) redo(ctx context.Context, text, manner string, mode guard.Mode) int {
	return s.redoWith(ctx, UndoOptions{}, text, manner, mode)
}

func (s *Shell) redoWith(ctx context.Context, opts UndoOptions, text, manner string, mode guard.Mode) int {
	changes, err := s.changes()
	if err == nil {
		opts.Change, err = LastUndo(changes)
	}
	if err != nil {
		s.say("error: " + render.SafeLines(err.Error()) + "\n")
		return ExitError
	}
	return s.undo(ctx, opts.Change.ID, opts, text, manner, mode)
}

// Resume does what a change has left.
func (s *Shell) Resume(ctx context.Context, id, text, manner string) int {
	c, code := s.changeNamed(id)
	if c == nil {
		return code
	}
	st, code := s.begin(text, manner, guard.Execute)
	if st == nil {
		return code
	}
	return s.ended(st, guard.Execute, st.Resume(ctx, s.here(), c), "nothing of "+render.Safe(c.ID)+" is left to do")
}

// changeNamed finds a change, or says that there is none.
func (s *Shell) changeNamed(id string) (*journal.Change, int) {
	changes, err := s.changes()
	if err != nil {
		s.say(render.SafeLines(err.Error()) + "\n")
		return nil, ExitError
	}
	c, err := FindChange(changes, id)
	if err != nil {
		s.say("error: " + render.SafeLines(err.Error()) + "\n")
		return nil, ExitError
	}
	return c, ExitDone
}

// begin begins a statement that is no JavaScript.
func (s *Shell) begin(text, manner string, mode guard.Mode) (*guard.Statement, int) {
	st, err := s.cfg.Gate.Begin(s.input(text, manner, mode))
	if err != nil {
		s.say(render.SafeLines(err.Error()) + "\n")
		return nil, ExitError
	}
	return st, ExitDone
}

// ended says what came of a statement that takes back, or goes on with, a change. nothing is said if there was nothing to do.
func (s *Shell) ended(st *guard.Statement, mode guard.Mode, err error, nothing string) int {
	if mode == guard.Preview {
		return s.preview(st, err)
	}
	if err != nil {
		return s.Failed(st, err)
	}
	outcomes := st.Outcomes()
	if len(outcomes) == 0 || slices.ContainsFunc(outcomes, func(o *guard.Outcome) bool { return o.Empty }) {
		s.say(nothing + "\n")
	}
	return codeOf(st)
}

func (s *Shell) changes() ([]*journal.Change, error) {
	changes, problems, err := ReadChanges(s.cfg.StateDir)
	s.say(Unverified(problems))
	return changes, err
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
func detailsWord(s *Shell, _ context.Context, args, _, _ string) int { return s.look(args, details) }

func sampleWordRun(s *Shell, _ context.Context, args, _, _ string) int {
	l, _ := lookFor(strings.TrimSpace("sample " + args))
	return s.look("", l)
}

func diffWordRun(s *Shell, _ context.Context, args, _, _ string) int {
	l, _ := lookFor("diff " + args)
	return s.look("", l)
}

// look shows something of the last preview, or of a change.
func (s *Shell) look(id string, l look) int {
	plans := s.cfg.Gate.Previews()
	if id != "" || len(plans) == 0 {
		c, code := s.changeNamed(id)
		if c == nil {
			return code
		}
		p, err := plan.Open(changeDir(s.cfg.StateDir, c.ID), c.Intent.Digest)
		if err != nil {
			s.say("error: " + render.SafeLines(err.Error()) + "\n")
			return ExitError
		}
		plans = []*plan.Plan{p}
	}
	for _, p := range plans {
		if err := l(p, s.cfg.Style, func(line string) error { s.out(line + "\n"); return nil }); err != nil {
			s.say("error: " + render.SafeLines(err.Error()) + "\n")
			return ExitError
		}
	}
	return ExitDone
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
