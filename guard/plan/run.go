package plan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/update"
)

// Work whose inverse is another command: collection options, users and roles, parameters, the profiler, and what has no inverse at all. The step
// holds the command, the commands that take it back, and what the server told of the thing before (Look).
//
//	command                                              inverse
//	collMod                                              collMod with the options as they were
//	profile, setParameter                                the same with the values as they were
//	createUser, createRole                               dropUser, dropRole
//	updateUser, grantRolesToUser, revokeRolesFromUser    updateUser with roles and data as they were; never a password
//	updateRole, grant… and revoke…                       updateRole with privileges and roles as they were
//	dropUser                                             createUser, only where there is no password ($external)
//	dropRole                                             createRole, and the role granted again to those who had it
//	cloneCollectionAsCapped                              drop, by the way on which any collection is dropped: with a backup
//	all others                                           none: irreversible

// What Look reads.
const (
	lookCollection = "collection"
	lookUser       = "user"
	lookRole       = "role"
	lookParameters = "parameters"
	lookProfile    = "profile"
)

// secrets are the fields whose values never reach a file.
var secrets = []string{"pwd"}

// withoutSecrets is a command as it may be written down.
func withoutSecrets(cmd bson.Raw) (out bson.Raw, redacted bool, err error) {
	elems, err := cmd.Elements()
	if err != nil {
		return nil, false, err
	}
	var d bson.D
	for _, e := range elems {
		if slices.Contains(secrets, e.Key()) || secretName(e.Key()) {
			d, redacted = append(d, bson.E{Key: e.Key(), Value: "[redacted]"}), true
			continue
		}
		d = append(d, bson.E{Key: e.Key(), Value: e.Value()})
	}
	if !redacted {
		return cmd, false, nil
	}
	out, err = bson.Marshal(d)
	return out, true, err
}

// planRun plans a command that a table above knows, or one without an inverse.
func planRun(ctx context.Context, b *Builder, c *command.Command) ([]Step, []Fact, error) {
	raw, redacted, err := withoutSecrets(c.Raw())
	if err != nil {
		return nil, nil, err
	}
	r := &run{b: b, c: c, s: Step{Do: DoRun, Verb: c.Name(), DB: c.Database(), NS: c.Database(), Run: raw, Redacted: redacted}}
	if t := c.Targets(); len(t) > 0 && t[0].Collection != "" {
		r.s.NS = t[0].String()
	}
	inverse := map[string]func(context.Context) error{
		"collMod": r.collMod, "profile": r.profile, "setParameter": r.setParameter, "killOp": r.killOp,
		"createUser": r.createUser, "dropUser": r.dropUser, "updateUser": r.updateUser, "grantRolesToUser": r.updateUser, "revokeRolesFromUser": r.updateUser,
		"createRole": r.createRole, "dropRole": r.dropRole, "updateRole": r.updateRole, "grantRolesToRole": r.updateRole, "revokeRolesFromRole": r.updateRole,
		"grantPrivilegesToRole": r.updateRole, "revokePrivilegesFromRole": r.updateRole, "create": r.createView, "drop": r.dropView,
		"cloneCollectionAsCapped": r.cloneCapped,
	}[c.Name()]
	if inverse == nil {
		r.irreversible("%s: nothing takes it back", c.Name())
	} else if err := inverse(ctx); err != nil {
		return nil, nil, err
	}
	if r.nothing {
		return nil, r.facts, nil
	}
	if r.s.Was == nil {
		if r.s.Was, err = Look(ctx, b.cfg.Reader, r.s); err != nil {
			return nil, nil, err
		}
	}
	r.s.Phrase = r.s.words()
	return []Step{r.s}, r.facts, nil
}

// run is one such command while it is planned.
type run struct {
	b       *Builder
	c       *command.Command
	s       Step
	facts   []Fact
	nothing bool
}

func (r *run) fact(code string, sev Severity, format string, a ...any) {
	r.facts = append(r.facts, fact(code, sev, map[string]any{"namespace": r.s.NS, "command": r.c.Name()}, format, a...))
}

// asAsked: nothing is to be done, since all is so already.
func (r *run) asAsked() {
	r.nothing = true
	r.fact(NoChange, Info, "%s is as asked; nothing will change", r.s.NS)
}

// sameValue says whether a value is what it was, whatever the type of its numbers.
func sameValue(was any, is bson.RawValue) bool {
	t, data, err := bson.MarshalValue(was)
	return err == nil && update.Equal(bson.RawValue{Type: t, Value: data}, is)
}

func (r *run) irreversible(format string, a ...any) {
	r.s.Inverse = nil
	r.fact(Irreversible, Danger, format, a...)
}

func (r *run) undoneBy(cmds ...bson.D) error {
	for _, c := range cmds {
		raw, err := bson.Marshal(c)
		if err != nil {
			return err
		}
		r.s.Inverse = append(r.s.Inverse, raw)
	}
	return nil
}

// look reads what is there before, and keeps it.
func (r *run) look(ctx context.Context, what, name string) (bson.Raw, error) {
	r.s.Look, r.s.Name = what, name
	was, err := Look(ctx, r.b.cfg.Reader, r.s)
	r.s.Was = was
	return was, err
}

// Look is what the server tells of the thing that a step changes, as one document that is the same as long as the thing is. It has no credentials.
// Sources: https://www.mongodb.com/docs/manual/reference/command/{listCollections,listIndexes,usersInfo,rolesInfo,getParameter,profile}/
func Look(ctx context.Context, r Reader, s Step) (bson.Raw, error) {
	ask := func(db string, cmd bson.D) (bson.Raw, error) {
		raw, err := bson.Marshal(cmd)
		if err != nil {
			return nil, err
		}
		return r.Read(ctx, db, raw)
	}
	switch s.Look {
	case lookCollection:
		ns, err := command.ParseNamespace(s.NS)
		if err != nil {
			return nil, err
		}
		info, err := describe(ctx, r, ns)
		if err != nil {
			return nil, err
		}
		indexes := bson.A{}
		for _, i := range info.indexes {
			indexes = append(indexes, i)
		}
		return bson.Marshal(bson.D{{Key: "exists", Value: info.exists}, {Key: "type", Value: info.kind}, {Key: "options", Value: info.options}, {Key: "uuid", Value: info.uuid}, {Key: "indexes", Value: indexes}})
	case lookUser:
		reply, err := ask(s.DB, bson.D{{Key: "usersInfo", Value: bson.D{{Key: "user", Value: s.Name}, {Key: "db", Value: s.DB}}}, {Key: "showCustomData", Value: true}, {Key: "showAuthenticationRestrictions", Value: true}})
		return firstOf(reply, err, "users", "user", "db", "roles", "customData", "mechanisms", "authenticationRestrictions")
	case lookRole:
		reply, err := ask(s.DB, bson.D{{Key: "rolesInfo", Value: bson.D{{Key: "role", Value: s.Name}, {Key: "db", Value: s.DB}}}, {Key: "showPrivileges", Value: true}, {Key: "showAuthenticationRestrictions", Value: true}})
		return firstOf(reply, err, "roles", "role", "db", "roles", "privileges", "authenticationRestrictions")
	case lookParameters:
		cmd := bson.D{{Key: "getParameter", Value: int32(1)}}
		for _, n := range strings.Split(s.Name, " ") {
			cmd = append(cmd, bson.E{Key: n, Value: int32(1)})
		}
		reply, err := ask("admin", cmd)
		return only(reply, err, strings.Split(s.Name, " ")...)
	case lookProfile:
		reply, err := ask(s.DB, bson.D{{Key: "profile", Value: int32(-1)}})
		return only(reply, err, "was", "slowms", "sampleRate", "filter")
	}
	return bson.Raw{5, 0, 0, 0, 0}, nil
}

// only is a reply with these fields alone.
func only(reply bson.Raw, err error, fields ...string) (bson.Raw, error) {
	if err != nil {
		return nil, err
	}
	out := bson.D{}
	for _, f := range fields {
		if v, err := reply.LookupErr(f); err == nil {
			out = append(out, bson.E{Key: f, Value: v})
		}
	}
	return bson.Marshal(out)
}

// firstOf is the first document of a list in a reply; an empty document if there is none.
func firstOf(reply bson.Raw, err error, list string, fields ...string) (bson.Raw, error) {
	if err != nil {
		return nil, err
	}
	v, err := reply.LookupErr(list, "0")
	if err != nil {
		return bson.Raw{5, 0, 0, 0, 0}, nil
	}
	return only(v.Document(), nil, fields...)
}

func empty(doc bson.Raw) bool { return len(doc) <= 5 }

func orElse(doc bson.Raw, key string, other any) any {
	if v, err := doc.LookupErr(key); err == nil {
		return v
	}
	return other
}

// shown is a value as a fact has it.
func shown(v any) string {
	b, err := bson.MarshalExtJSON(bson.D{{Key: "v", Value: v}}, false, false)
	if err != nil {
		return "?"
	}
	s := strings.TrimSuffix(strings.TrimPrefix(string(b), `{"v":`), "}")
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}

// spoken is a value in a sentence: as the shell prints it, but a number as its digits alone.
func spoken(v any) string {
	if t, data, err := bson.MarshalValue(v); err == nil && t == bson.TypeInt64 {
		return fmt.Sprint(bson.RawValue{Type: t, Value: data}.Int64())
	}
	return printed(v)
}

// createView: https://www.mongodb.com/docs/manual/core/views/
func (r *run) createView(ctx context.Context) error {
	was, err := r.look(ctx, lookCollection, "")
	if err != nil {
		return err
	}
	if was.Lookup("exists").Boolean() {
		return &Foreseen{48, "NamespaceExists", fmt.Sprintf("Collection %s already exists.", r.s.NS)}
	}
	r.fact(CreatesCollection, Info, "creates the view %s on %s", r.s.NS, spoken(orElse(r.c.Raw(), "viewOn", nil)))
	return r.undoneBy(bson.D{{Key: "drop", Value: r.c.Targets()[0].Collection}})
}

// cloneCapped: https://www.mongodb.com/docs/manual/reference/command/cloneCollectionAsCapped/
func (r *run) cloneCapped(ctx context.Context) error {
	was, err := r.look(ctx, lookCollection, "")
	if err != nil {
		return err
	}
	if was.Lookup("exists").Boolean() {
		return &Foreseen{48, "NamespaceExists", fmt.Sprintf("cloneCollectionAsCapped failed - destination collection %s already exists", r.s.NS)}
	}
	from := r.c.Sources()[0]
	info, err := describe(ctx, r.b.cfg.Reader, from)
	if err != nil {
		return err
	}
	if !info.exists {
		return &Foreseen{26, "NamespaceNotFound", fmt.Sprintf("cloneCollectionAsCapped: source collection %s does not exist", from)}
	}
	size, _ := r.c.Lookup("size")
	room, _ := size.AsInt64OK()
	have := collectionSize(ctx, r.b.cfg.Reader, from)
	r.fact(CreatesCollection, Info, "copies %s, %s, of %s into the capped collection %s, without their indexes", Plural(info.total, "document"), sizeText(have), from, r.s.NS)
	if have > room {
		r.fact(ChangesOptions, Warn, "%s has room for %s of them: the oldest documents are left out", r.s.NS, sizeText(room))
	}
	return r.undoneBy(bson.D{{Key: "drop", Value: r.c.Targets()[0].Collection}})
}

func (r *run) dropView(ctx context.Context) error {
	was, err := r.look(ctx, lookCollection, "")
	if err != nil {
		return err
	}
	options := was.Lookup("options").Document()
	r.fact(DropsCollection, Warn, "drops the view %s on %s; no document goes with it", r.s.NS, spoken(orElse(options, "viewOn", nil)))
	return r.undoneBy(append(bson.D{{Key: "create", Value: r.c.Targets()[0].Collection}}, kept(options, "viewOn", "pipeline", "collation")...))
}

// dropView plans to drop one view of a database that goes.
func (b *Builder) dropView(ctx context.Context, db, name string) ([]Step, []Fact, error) {
	raw, err := bson.Marshal(bson.D{{Key: "drop", Value: name}})
	if err != nil {
		return nil, nil, err
	}
	c, err := command.Parse(db, raw, nil)
	if err != nil {
		return nil, nil, err
	}
	return planRun(ctx, b, c)
}

// collMod: https://www.mongodb.com/docs/manual/reference/command/collMod/
func (r *run) collMod(ctx context.Context) error {
	was, err := r.look(ctx, lookCollection, "")
	if err != nil {
		return err
	}
	if !was.Lookup("exists").Boolean() {
		return &Foreseen{26, "NamespaceNotFound", "ns does not exist: " + r.s.NS}
	}
	options := was.Lookup("options").Document()
	inverse := bson.D{{Key: "collMod", Value: r.c.Targets()[0].Collection}}
	elems, err := r.c.Raw().Elements()
	if err != nil {
		return err
	}
	changed := false
	undo := func(key string, old any, is bson.RawValue) {
		inverse = append(inverse, bson.E{Key: key, Value: old})
		if !sameValue(old, is) {
			changed = true
			r.fact(ChangesOptions, Info, "%s of %s: %s becomes %s", key, r.s.NS, spoken(old), spoken(is))
		}
	}
	defaults := map[string]any{
		"validator": bson.D{}, "validationLevel": "strict", "validationAction": "error",
		"changeStreamPreAndPostImages": bson.D{{Key: "enabled", Value: false}}, "viewOn": nil, "pipeline": nil,
	}
	for _, e := range elems[1:] {
		switch key := e.Key(); key {
		case "comment", "writeConcern", "maxTimeMS":
		case "validator", "validationLevel", "validationAction", "changeStreamPreAndPostImages", "viewOn", "pipeline":
			undo(key, orElse(options, key, defaults[key]), e.Value())
		case "index":
			said := len(r.facts)
			if err := r.collModIndex(ctx, was, e.Value(), &inverse); err != nil {
				return err
			}
			changed = changed || len(r.facts) > said
		default:
			return fmt.Errorf("collMod with the option %q %w", key, ErrNotPlanned)
		}
	}
	if !changed {
		r.asAsked()
		return nil
	}
	if slices.ContainsFunc(r.facts, func(f Fact) bool { return f.Code == Irreversible }) {
		return nil
	}
	return r.undoneBy(inverse)
}

// collModIndex: expireAfterSeconds and hidden go back as they were; what collMod cannot take back is irreversible.
func (r *run) collModIndex(ctx context.Context, was bson.Raw, v bson.RawValue, inverse *bson.D) error {
	want, ok := v.DocumentOK()
	if !ok {
		return &Foreseen{14, "TypeMismatch", "collMod: index wants a document"}
	}
	indexes, err := was.Lookup("indexes").Array().Values()
	if err != nil {
		return err
	}
	var have bson.Raw
	for _, i := range indexes {
		spec := i.Document()
		name, byName := want.Lookup("name").StringValueOK()
		key, byKey := want.Lookup("keyPattern").DocumentOK()
		k, _ := spec.Lookup("key").DocumentOK()
		if n, _ := spec.Lookup("name").StringValueOK(); (byName && n == name) || (byKey && sameKeys(k, key)) {
			have = spec
		}
	}
	if have == nil {
		return &Foreseen{27, "IndexNotFound", "cannot find index for ns " + r.s.NS}
	}
	name := have.Lookup("name").StringValue()
	back := bson.D{{Key: "name", Value: name}}
	elems, err := want.Elements()
	if err != nil {
		return err
	}
	for _, e := range elems {
		old, err := have.LookupErr(e.Key())
		switch e.Key() {
		case "name", "keyPattern":
			continue
		case "hidden":
			was := orElse(have, "hidden", false)
			back = append(back, bson.E{Key: "hidden", Value: was})
			if !sameValue(was, e.Value()) {
				r.fact(ChangesOptions, Warn, "index %s of %s: hidden becomes %s; a hidden index serves no query", name, r.s.NS, spoken(e.Value()))
			}
			continue
		case "expireAfterSeconds":
			if err == nil && sameValue(old, e.Value()) {
				break
			}
			if err := r.ttl(ctx, have, e.Value()); err != nil {
				return err
			}
			if err == nil {
				r.fact(ChangesOptions, Warn, "index %s of %s: expireAfterSeconds %s becomes %s", name, r.s.NS, spoken(orElse(have, "expireAfterSeconds", nil)), spoken(e.Value()))
			}
		}
		if err != nil {
			r.irreversible("index %s of %s: collMod cannot take %s away again", name, r.s.NS, e.Key())
			continue
		}
		back = append(back, bson.E{Key: e.Key(), Value: old})
	}
	*inverse = append(*inverse, bson.E{Key: "index", Value: back})
	return nil
}

// ttl says how many documents a TTL index would have the server delete soon, that it would not delete as it is.
// Source: https://www.mongodb.com/docs/manual/core/index-ttl/
func (r *run) ttl(ctx context.Context, index bson.Raw, seconds bson.RawValue) error {
	was, sooner := index.Lookup("expireAfterSeconds").AsFloat64OK()
	if is, ok := seconds.AsFloat64OK(); ok && sooner && is >= was {
		return nil
	}
	f, err := ttlFact(ctx, r.b, r.c.Targets()[0], index, seconds)
	if err == nil {
		r.facts = append(r.facts, *f)
	}
	return err
}

func ttlFact(ctx context.Context, b *Builder, ns command.Namespace, index bson.Raw, seconds bson.RawValue) (*Fact, error) {
	n, ok := seconds.AsFloat64OK()
	field := firstField(index)
	if !ok || field == "" {
		return nil, &Foreseen{14, "TypeMismatch", "expireAfterSeconds must be a number"}
	}
	if name, _ := index.Lookup("name").StringValueOK(); len(keyOf(index)) > 1 { // https://www.mongodb.com/docs/manual/core/index-ttl/#restrictions
		f := fact(TTLDeletes, Warn, map[string]any{"namespace": ns.String(), "index": name}, "expireAfterSeconds has no effect on the compound index %s of %s: the server deletes nothing because of it", name, ns)
		return &f, nil
	}
	const century = 100 * 365 * 24 * 3600
	limit := b.cfg.Header.Created.Add(-time.Duration(min(max(n, 0), century)) * time.Second)
	query := bson.D{{Key: field, Value: bson.D{{Key: "$lt", Value: bson.NewDateTimeFromTime(limit)}}}}
	if part, ok := index.Lookup("partialFilterExpression").DocumentOK(); ok { // what is not in the index stays
		query = bson.D{{Key: "$and", Value: bson.A{query, part}}}
	}
	cmd, err := bson.Marshal(bson.D{{Key: "count", Value: ns.Collection}, {Key: "query", Value: query}})
	if err != nil {
		return nil, err
	}
	reply, err := b.cfg.Reader.Read(ctx, ns.DB, cmd)
	if err != nil {
		return nil, fmt.Errorf("count what a TTL index would delete: %w", err)
	}
	gone, _ := reply.Lookup("n").AsInt64OK()
	data := map[string]any{"namespace": ns.String(), "documents": gone, "field": field}
	if gone > 0 {
		f := fact(TTLDeletes, Danger, data, "the server would delete %s of %s soon, since %s is older than %s, and then each that gets as old; undo does not bring them back", Plural(gone, "document"), ns, field, lasting(n))
		return &f, nil
	}
	none, err := b.noDates(ctx, ns, field)
	if err != nil {
		return nil, err
	}
	f := fact(TTLDeletes, Info, data, "the server deletes each document of %s once its %s is older than %s; none is yet", ns, field, lasting(n))
	if none > 0 {
		data["dates"] = 0
		where := "holds a date in none of the " + Plural(none, "document")
		if none == 1 {
			where = "holds no date in the one document"
		}
		f = fact(TTLDeletes, Warn, data, "%s %s of %s: the index deletes nothing, however old they get; it is for those whose %s is older than %s", field, where, ns, field, lasting(n))
	}
	return &f, nil
}

// noDates is how many documents a collection has, if a field is a date in none of them; otherwise 0.
func (b *Builder) noDates(ctx context.Context, ns command.Namespace, field string) (int64, error) {
	cmd, err := bson.Marshal(bson.D{{Key: "count", Value: ns.Collection}, {Key: "query", Value: bson.D{{Key: field, Value: bson.D{{Key: "$type", Value: "date"}}}}}, {Key: "limit", Value: int64(1)}})
	if err != nil {
		return 0, err
	}
	reply, err := b.cfg.Reader.Read(ctx, ns.DB, cmd)
	if err != nil {
		return 0, fmt.Errorf("look for dates: %w", err)
	}
	if n, _ := reply.Lookup("n").AsInt64OK(); n > 0 {
		return 0, nil
	}
	return countAll(ctx, b.cfg.Reader, ns)
}

// lasting is a number of seconds as it is read: with what it comes to, where nobody counts so far.
func lasting(seconds float64) string {
	text := readableNumber(printable(seconds)) + " s"
	const minute, hour, day, year = 60, 3600, 86_400, 365.2425 * 86_400
	for _, u := range []struct {
		name string
		of   float64
	}{{"year", year}, {"day", day}, {"hour", hour}, {"minute", minute}} {
		if n := int64(seconds / u.of); n >= 2 || n == 1 && u.of != year {
			text += fmt.Sprintf(" (%s)", Plural(n, u.name))
			break
		}
	}
	const long = 10 * year
	if seconds >= long {
		text += ", counted in seconds and not in milliseconds"
	}
	return text
}

func printable(f float64) bson.RawValue {
	t, data, err := bson.MarshalValue(f)
	if err != nil { // a float always can be
		return bson.RawValue{}
	}
	return bson.RawValue{Type: t, Value: data}
}

// profile: https://www.mongodb.com/docs/manual/reference/command/profile/
func (r *run) profile(ctx context.Context) error {
	was, err := r.look(ctx, lookProfile, "")
	if err != nil {
		return err
	}
	inverse := bson.D{{Key: "profile", Value: was.Lookup("was")}}
	if is := r.c.Raw().Index(0).Value(); !sameValue(was.Lookup("was"), is) {
		r.fact(ChangesOptions, Info, "the profiling level of %s: %s becomes %s", r.s.NS, spoken(was.Lookup("was")), spoken(is))
	}
	for _, key := range []string{"slowms", "sampleRate", "filter"} {
		v, ok := r.c.Lookup(key)
		if !ok {
			continue
		}
		old := orElse(was, key, nil)
		if old == nil && key == "filter" {
			old = "unset"
		}
		inverse = append(inverse, bson.E{Key: key, Value: old})
		if !sameValue(old, v) {
			r.fact(ChangesOptions, Info, "%s: %s becomes %s", key, spoken(old), spoken(v))
		}
	}
	if len(r.facts) == 0 {
		r.asAsked()
		return nil
	}
	return r.undoneBy(inverse)
}

// setParameter: https://www.mongodb.com/docs/manual/reference/command/setParameter/
func (r *run) setParameter(ctx context.Context) error {
	elems, err := r.c.Raw().Elements()
	if err != nil {
		return err
	}
	var names []string
	for _, e := range elems[1:] {
		if !slices.Contains([]string{"comment", "writeConcern", "maxTimeMS"}, e.Key()) {
			names = append(names, e.Key())
		}
	}
	if len(names) == 0 {
		return &Foreseen{72, "InvalidOptions", "no option found to set"}
	}
	was, err := r.look(ctx, lookParameters, strings.Join(names, " "))
	if err != nil {
		return err
	}
	inverse := bson.D{{Key: "setParameter", Value: int32(1)}}
	for _, n := range names {
		old, err := was.LookupErr(n)
		if err != nil {
			r.irreversible("the server does not tell what the parameter %s is now", n)
			return nil
		}
		if secretName(n) {
			r.irreversible("the value of the parameter %s is a secret, which is not kept", n)
			r.s.Was = nil
			return fmt.Errorf("the parameter %s, whose value is a secret, %w", n, ErrNotPlanned)
		}
		inverse = append(inverse, bson.E{Key: n, Value: old})
		if is, _ := r.c.Lookup(n); !sameValue(old, is) {
			r.fact(ChangesOptions, Warn, "the parameter %s: %s becomes %s, for the whole server", n, spoken(old), spoken(is))
		}
	}
	if len(r.facts) == 0 {
		r.asAsked()
		return nil
	}
	return r.undoneBy(inverse)
}

func secretName(n string) bool {
	n = strings.ToLower(n)
	return slices.ContainsFunc([]string{"password", "passphrase", "secret", "credential", "pwd"}, func(s string) bool { return strings.Contains(n, s) })
}

// killOp: https://www.mongodb.com/docs/manual/reference/command/killOp/
func (r *run) killOp(ctx context.Context) error {
	op, ok := r.c.Lookup("op")
	if !ok {
		return &Foreseen{9, "FailedToParse", "killOp wants op"}
	}
	cmd, err := bson.Marshal(bson.D{{Key: "currentOp", Value: int32(1)}, {Key: "opid", Value: op}})
	if err != nil {
		return err
	}
	reply, err := r.b.cfg.Reader.Read(ctx, "admin", cmd)
	if err != nil {
		return fmt.Errorf("look at the operation: %w", err)
	}
	v, err := reply.LookupErr("inprog", "0")
	if err != nil {
		r.nothing = true
		r.fact(NoMatch, Info, "no operation %s is running: nothing to end", spoken(op))
		return nil
	}
	doc := v.Document()
	r.fact(Matched, Warn, "ends the operation %s: %s on %s, running for %s s, of client %s", spoken(op), spoken(orElse(doc, "op", "?")), spoken(orElse(doc, "ns", "?")), spoken(orElse(doc, "secs_running", 0)), spoken(orElse(doc, "client", "?")))
	r.irreversible("what the operation has done so far stays, and it does not go on")
	return nil
}

func (r *run) nameOf() (string, error) {
	name, ok := r.c.Raw().Index(0).Value().StringValueOK()
	if !ok || name == "" {
		return "", &Foreseen{14, "TypeMismatch", r.c.Name() + " wants a name"}
	}
	r.s.NS = r.s.DB + "." + name
	return name, nil
}

// thing looks at the user or role that the command names.
func (r *run) thing(ctx context.Context, what string) (name string, was bson.Raw, err error) {
	if name, err = r.nameOf(); err == nil {
		was, err = r.look(ctx, what, name)
	}
	return name, was, err
}

// createUser and the others: https://www.mongodb.com/docs/manual/reference/command/nav-user-management/
func (r *run) createUser(ctx context.Context) error {
	name, was, err := r.thing(ctx, lookUser)
	if err != nil {
		return err
	}
	if !empty(was) {
		return &Foreseen{51003, "Location51003", fmt.Sprintf("User %q already exists", r.s.NS)}
	}
	r.fact(ChangesAccess, Warn, "the new user %s gets the roles %s", r.s.NS, spoken(orElse(r.c.Raw(), "roles", bson.A{})))
	return r.undoneBy(bson.D{{Key: "dropUser", Value: name}})
}

func (r *run) noSuch(code int32, what string) error {
	return &Foreseen{code, map[int32]string{11: "UserNotFound", 31: "RoleNotFound"}[code], fmt.Sprintf("%s %s not found", what, r.s.NS)}
}

func (r *run) dropUser(ctx context.Context) error {
	name, was, err := r.thing(ctx, lookUser)
	if err != nil {
		return err
	}
	if empty(was) {
		return r.noSuch(11, "User")
	}
	r.fact(ChangesAccess, Danger, "the user %s goes, with the roles %s", r.s.NS, spoken(orElse(was, "roles", bson.A{})))
	if r.s.DB != "$external" {
		r.irreversible("nobody but the server knows the password of %s: to have the user again, create it with a new one; roles and data stay in the plan of this change", r.s.NS)
		return nil
	}
	return r.undoneBy(append(bson.D{{Key: "createUser", Value: name}}, kept(was, "roles", "customData", "authenticationRestrictions")...))
}

func kept(was bson.Raw, keys ...string) (out bson.D) {
	for _, k := range keys {
		if v, err := was.LookupErr(k); err == nil {
			out = append(out, bson.E{Key: k, Value: v})
		}
	}
	return out
}

// updateUser and the granting and revoking of a user's roles.
func (r *run) updateUser(ctx context.Context) error {
	name, was, err := r.thing(ctx, lookUser)
	if err != nil {
		return err
	}
	if empty(was) {
		return r.noSuch(11, "User")
	}
	inverse := bson.D{{Key: "updateUser", Value: name}}
	keys := []string{"roles"}
	if r.c.Name() == "updateUser" {
		keys = nil
		for _, k := range []string{"roles", "customData", "authenticationRestrictions", "mechanisms"} {
			if _, ok := r.c.Lookup(k); ok {
				keys = append(keys, k)
			}
		}
		if _, ok := r.c.Lookup("pwd"); ok {
			if len(keys) == 0 {
				r.irreversible("the old password of %s is not known to anybody but the server", r.s.NS)
				return nil
			}
			r.fact(PartialUndo, Danger, "undo does not bring the old password of %s back", r.s.NS)
		}
	}
	for _, k := range keys {
		old := orElse(was, k, map[string]any{"customData": bson.D{}}[k])
		if old == nil {
			old = bson.A{}
		}
		verb := map[string]string{"grantRolesToUser": "gains", "revokeRolesFromUser": "loses"}[r.c.Name()]
		if is, _ := r.c.Lookup(k); verb == "" && sameValue(old, is) {
			// as it is
		} else if verb == "" {
			r.fact(ChangesAccess, Danger, "%s of the user %s: %s becomes %s", k, r.s.NS, spoken(old), spoken(orElse(r.c.Raw(), k, nil)))
		} else {
			r.fact(ChangesAccess, Danger, "the user %s %s %s; it has %s", r.s.NS, verb, spoken(orElse(r.c.Raw(), k, nil)), spoken(old))
		}
		inverse = append(inverse, bson.E{Key: k, Value: old})
	}
	if len(r.facts) == 0 {
		r.asAsked()
		return nil
	}
	return r.undoneBy(inverse)
}

func (r *run) createRole(ctx context.Context) error {
	name, was, err := r.thing(ctx, lookRole)
	if err != nil {
		return err
	}
	if !empty(was) {
		return &Foreseen{51002, "Location51002", fmt.Sprintf("Role %q already exists", r.s.NS)}
	}
	r.fact(ChangesAccess, Warn, "the new role %s gets the privileges %s and the roles %s", r.s.NS, spoken(orElse(r.c.Raw(), "privileges", bson.A{})), spoken(orElse(r.c.Raw(), "roles", bson.A{})))
	return r.undoneBy(bson.D{{Key: "dropRole", Value: name}})
}

// dropRole takes the role from all who have it.
func (r *run) dropRole(ctx context.Context) error {
	name, was, err := r.thing(ctx, lookRole)
	if err != nil {
		return err
	}
	if empty(was) {
		return r.noSuch(31, "Role")
	}
	holders, err := r.holders(ctx, name)
	if err != nil {
		return err
	}
	cmds := []bson.D{append(bson.D{{Key: "createRole", Value: name}}, kept(was, "privileges", "roles", "authenticationRestrictions")...)}
	var who []string
	for _, u := range holders {
		who = append(who, u.String())
		if u.DB == r.s.DB {
			cmds = append(cmds, bson.D{{Key: "grantRolesToUser", Value: u.Collection}, {Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: name}, {Key: "db", Value: r.s.DB}}}}})
		} else {
			r.fact(PartialUndo, Danger, "undo does not give the role back to %s, who is of another database", u)
		}
	}
	r.fact(ChangesAccess, Danger, "the role %s goes; users who lose it: %s", r.s.NS, orNone(who))
	r.fact(PartialUndo, Warn, "other roles that inherit %s lose it, and undo does not give it back to them", r.s.NS)
	return r.undoneBy(cmds...)
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none that can be seen"
	}
	return strings.Join(list, ", ")
}

// holders are the users that have a role directly, as far as the server tells them: user behind database.
func (r *run) holders(ctx context.Context, role string) (out []command.Namespace, err error) {
	cmd, err := bson.Marshal(bson.D{{Key: "usersInfo", Value: bson.D{{Key: "forAllDBs", Value: true}}}})
	if err != nil {
		return nil, err
	}
	reply, err := r.b.cfg.Reader.Read(ctx, "admin", cmd)
	if err != nil {
		return nil, fmt.Errorf("find the users who have the role: %w", err)
	}
	users, ok := reply.Lookup("users").ArrayOK()
	if !ok {
		return nil, errors.New("usersInfo: the reply has no users")
	}
	values, err := users.Values()
	if err != nil {
		return nil, err
	}
	for _, v := range values {
		u := v.Document()
		roles, _ := u.Lookup("roles").ArrayOK()
		list, _ := roles.Values() // none
		for _, x := range list {
			d, ok := x.DocumentOK()
			if !ok {
				continue
			}
			n, _ := d.Lookup("role").StringValueOK()
			db, _ := d.Lookup("db").StringValueOK()
			if n == role && db == r.s.DB {
				user, _ := u.Lookup("user").StringValueOK()
				of, _ := u.Lookup("db").StringValueOK()
				out = append(out, command.Namespace{DB: of, Collection: user})
			}
		}
	}
	return out, nil
}

// updateRole and the granting and revoking of a role's privileges and roles.
func (r *run) updateRole(ctx context.Context) error {
	name, was, err := r.thing(ctx, lookRole)
	if err != nil {
		return err
	}
	if empty(was) {
		return r.noSuch(31, "Role")
	}
	inverse := bson.D{{Key: "updateRole", Value: name}}
	for _, k := range []string{"privileges", "roles", "authenticationRestrictions"} {
		v, named := r.c.Lookup(k)
		if !named {
			continue
		}
		old := orElse(was, k, bson.A{})
		r.fact(ChangesAccess, Danger, "%s: %s of the role %s, which all its users have: %s; it has %s", r.c.Name(), k, r.s.NS, spoken(v), spoken(old))
		inverse = append(inverse, bson.E{Key: k, Value: old})
	}
	return r.undoneBy(inverse)
}

// unrun plans to take such a step back: what is there now must be what the step left.
func (u *undo) unrun(ctx context.Context, s Step) ([]Step, []Fact, error) {
	now, err := Look(ctx, u.cfg.Reader, s)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case len(s.Inverse) == 0:
		return nil, []Fact{fact(Conflicts, Danger, map[string]any{"namespace": s.NS, "list": []Conflict{{NS: s.NS, Why: "irreversible"}}}, "%s of %s cannot be taken back", s.Verb, s.NS)}, nil
	case bytes.Equal(now, s.Was):
		return nil, nothingToDo(s.NS, "is as it was before "+s.Verb), nil
	}
	if left, err := u.of.After(s, u.backup); err != nil {
		return nil, nil, err
	} else if left != nil && !bytes.Equal(left, now) {
		return nil, leftAlone(s.NS, "somebody has changed it since"), nil
	}
	var steps []Step
	for n, raw := range s.Inverse {
		c, err := command.Parse(s.DB, raw, nil)
		if err != nil {
			return nil, nil, err
		}
		if kind, _ := bson.Raw(now).Lookup("type").StringValueOK(); c.Name() == "drop" && kind != "view" {
			drop, facts, err := u.dropStep(ctx, c.Targets()[0], n)
			if err != nil || drop == nil {
				return nil, facts, err
			}
			drop.Phrase = drop.words()
			return []Step{*drop}, facts, nil
		}
		back := Step{Do: DoRun, Verb: c.Name(), DB: s.DB, NS: s.NS, Run: raw, Look: s.Look, Name: s.Name, Was: now}
		if n == 0 {
			back.Phrase = back.words()
			if !s.Redacted {
				back.Inverse = [][]byte{s.Run}
			}
		} else {
			back.Look, back.Was = "", []byte{5, 0, 0, 0, 0}
		}
		steps = append(steps, back)
	}
	return steps, []Fact{fact(ChangesOptions, Info, map[string]any{"namespace": s.NS}, "%s is now %s; before the change it was %s", s.NS, printed(bson.Raw(now)), printed(bson.Raw(s.Was)))}, nil
}
