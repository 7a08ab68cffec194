package guard_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/environment"
	"respect/guard/internal/wiretest"
	"respect/guard/plan"
	"respect/replay"
)

// catalogue answers what the embedded server does not know: options of collections, views, users, roles, parameters, the profiler, operations. It does what
// the manual says that MongoDB does with them, as far as these tests look.
type catalogue struct {
	sync.Mutex
	env         string
	collections map[string]*fakeCollection // of database app
	users       map[string]bson.D          // by name, of database app or $external
	roles       map[string]bson.D
	parameters  map[string]any
	profile     map[string]any
	killed      []any
	sent        []bson.Raw // what is no read
}

type fakeCollection struct {
	kind    string
	options map[string]any
	indexes []bson.D
}

func newCatalogue(env string) *catalogue {
	return &catalogue{
		env: env,
		collections: map[string]*fakeCollection{
			"users": {kind: "collection", options: map[string]any{"validator": bson.D{{Key: "age", Value: bson.D{{Key: "$gt", Value: int32(0)}}}}}, indexes: []bson.D{
				{{Key: "v", Value: int32(2)}, {Key: "key", Value: bson.D{{Key: "_id", Value: int32(1)}}}, {Key: "name", Value: "_id_"}},
				{{Key: "v", Value: int32(2)}, {Key: "key", Value: bson.D{{Key: "at", Value: int32(1)}}}, {Key: "name", Value: "at_1"}, {Key: "expireAfterSeconds", Value: int32(1000000)}},
			}},
			"adults": {kind: "view", options: map[string]any{"viewOn": "users", "pipeline": bson.A{bson.D{{Key: "$match", Value: bson.D{{Key: "age", Value: bson.D{{Key: "$gt", Value: int32(17)}}}}}}}}},
		},
		users: map[string]bson.D{
			"app.ann":       {{Key: "user", Value: "ann"}, {Key: "db", Value: "app"}, {Key: "roles", Value: bson.A{role("read")}}, {Key: "customData", Value: bson.D{{Key: "team", Value: "a"}}}, {Key: "mechanisms", Value: bson.A{"SCRAM-SHA-256"}}},
			"$external.bob": {{Key: "user", Value: "bob"}, {Key: "db", Value: "$external"}, {Key: "roles", Value: bson.A{role("read"), role("writer")}}, {Key: "mechanisms", Value: bson.A{"external"}}},
		},
		roles: map[string]bson.D{
			"app.writer": {{Key: "role", Value: "writer"}, {Key: "db", Value: "app"}, {Key: "roles", Value: bson.A{role("read")}}, {Key: "privileges", Value: bson.A{privilege("insert")}}},
		},
		parameters: map[string]any{"cursorTimeoutMillis": int64(600000), "ldapQueryPassword": "kestrel"},
		profile:    map[string]any{"was": int32(0), "slowms": int32(100), "sampleRate": 1.0},
	}
}

func role(name string) bson.D { return bson.D{{Key: "role", Value: name}, {Key: "db", Value: "app"}} }

func privilege(actions ...string) bson.D {
	list := bson.A{}
	for _, a := range actions {
		list = append(list, a)
	}
	return bson.D{{Key: "resource", Value: bson.D{{Key: "db", Value: "app"}, {Key: "collection", Value: "users"}}}, {Key: "actions", Value: list}}
}

func (c *catalogue) state() string {
	c.Lock()
	defer c.Unlock()
	out := bson.D{}
	for name, coll := range c.collections {
		o := bson.D{}
		for k, v := range coll.options {
			o = append(o, bson.E{Key: k, Value: v})
		}
		slices.SortFunc(o, func(a, b bson.E) int { return strings.Compare(a.Key, b.Key) })
		out = append(out, bson.E{Key: "collection " + name, Value: bson.D{{Key: "kind", Value: coll.kind}, {Key: "options", Value: o}, {Key: "indexes", Value: coll.indexes}}})
	}
	for k, v := range c.users {
		out = append(out, bson.E{Key: "user " + k, Value: v})
	}
	for k, v := range c.roles {
		out = append(out, bson.E{Key: "role " + k, Value: v})
	}
	for k, v := range c.parameters {
		out = append(out, bson.E{Key: "parameter " + k, Value: v})
	}
	for k, v := range c.profile {
		out = append(out, bson.E{Key: "profile " + k, Value: v})
	}
	slices.SortFunc(out, func(a, b bson.E) int { return strings.Compare(a.Key, b.Key) })
	b, err := bson.MarshalExtJSON(out, true, false)
	if err != nil {
		return err.Error()
	}
	var pretty bytes.Buffer
	_ = json.Indent(&pretty, b, "", " ")
	return pretty.String()
}

func cursorOf(docs ...any) bson.D {
	return bson.D{{Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "ns", Value: "app.x"}, {Key: "firstBatch", Value: append(bson.A{}, docs...)}}}, {Key: "ok", Value: 1.0}}
}

func ok(more ...bson.E) bson.D { return append(bson.D(more), bson.E{Key: "ok", Value: 1.0}) }

func set(d bson.D, key string, v any) bson.D {
	d = slices.Clone(d)
	for i := range d {
		if d[i].Key == key {
			d[i].Value = v
			return d
		}
	}
	return append(d, bson.E{Key: key, Value: v})
}

func get(d bson.D, key string) any {
	for _, e := range d {
		if e.Key == key {
			return e.Value
		}
	}
	return nil
}

func (c *catalogue) answer(db string, raw bson.Raw) bson.D {
	c.Lock()
	defer c.Unlock()
	var cmd bson.D
	if err := bson.Unmarshal(raw, &cmd); err != nil {
		panic(err)
	}
	name, _ := cmd[0].Value.(string)
	if len(wiretest.Writes([]wiretest.Command{{Name: cmd[0].Key, Doc: raw}})) > 0 {
		c.sent = append(c.sent, raw)
	}
	key := db + "." + name
	switch cmd[0].Key {
	case "find":
		if db == "respect" {
			return cursorOf(environment.MarkerDocument(map[string]environment.Environment{"staging": environment.Staging, "production": environment.Production}[c.env], "any", "test", markedAt))
		}
		return cursorOf()
	case "buildInfo":
		return ok(bson.E{Key: "version", Value: "8.0.0"})
	case "listCollections":
		want := get(get(cmd, "filter").(bson.D), "name").(string)
		coll := c.collections[want]
		if coll == nil || db != "app" {
			return cursorOf()
		}
		o := bson.D{}
		for k, v := range coll.options {
			o = append(o, bson.E{Key: k, Value: v})
		}
		slices.SortFunc(o, func(a, b bson.E) int { return strings.Compare(a.Key, b.Key) })
		return cursorOf(bson.D{{Key: "name", Value: want}, {Key: "type", Value: coll.kind}, {Key: "options", Value: o}})
	case "listIndexes":
		var list []any
		for _, i := range c.collections[name].indexes {
			list = append(list, i)
		}
		return cursorOf(list...)
	case "count":
		return ok(bson.E{Key: "n", Value: int32(7)})
	case "usersInfo":
		users := bson.A{}
		if q, isOne := cmd[0].Value.(bson.D); isOne && get(q, "user") != nil {
			if u := c.users[get(q, "db").(string)+"."+get(q, "user").(string)]; u != nil {
				users = append(users, u)
			}
		} else {
			for _, u := range c.users {
				users = append(users, u)
			}
		}
		return ok(bson.E{Key: "users", Value: users})
	case "rolesInfo":
		roles := bson.A{}
		if r := c.roles[db+"."+get(cmd[0].Value.(bson.D), "role").(string)]; r != nil {
			roles = append(roles, r)
		}
		return ok(bson.E{Key: "roles", Value: roles})
	case "getParameter":
		out := bson.D{}
		for _, e := range cmd[1:] {
			if v, has := c.parameters[e.Key]; has {
				out = append(out, bson.E{Key: e.Key, Value: v})
			}
		}
		return ok(out...)
	case "profile":
		was := bson.D{}
		for _, k := range []string{"was", "slowms", "sampleRate", "filter"} {
			if v, has := c.profile[k]; has {
				was = append(was, bson.E{Key: k, Value: v})
			}
		}
		if level, _ := raw.Index(0).Value().AsInt64OK(); level >= 0 {
			c.profile["was"] = int32(level)
			for _, k := range []string{"slowms", "sampleRate"} {
				if v := get(cmd, k); v != nil {
					c.profile[k] = v
				}
			}
		}
		return ok(was...)
	case "setParameter":
		for _, e := range cmd[1:] {
			if _, has := c.parameters[e.Key]; has {
				c.parameters[e.Key] = e.Value
			}
		}
	case "currentOp":
		if v, _ := raw.Lookup("opid").AsInt64OK(); v == 77 {
			return ok(bson.E{Key: "inprog", Value: bson.A{bson.D{{Key: "opid", Value: int32(77)}, {Key: "op", Value: "update"}, {Key: "ns", Value: "app.users"}, {Key: "secs_running", Value: int64(12)}}}})
		}
		return ok(bson.E{Key: "inprog", Value: bson.A{}})
	case "killOp":
		c.killed = append(c.killed, get(cmd, "op"))
	case "collMod":
		coll := c.collections[name]
		for _, e := range cmd[1:] {
			switch e.Key {
			case "validator":
				coll.options["validator"] = e.Value
			case "viewOn", "pipeline":
				coll.options[e.Key] = e.Value
			case "index":
				for i := range coll.indexes {
					if get(coll.indexes[i], "name") == get(e.Value.(bson.D), "name") {
						for _, o := range e.Value.(bson.D) {
							if o.Key != "name" {
								coll.indexes[i] = set(coll.indexes[i], o.Key, o.Value)
							}
						}
					}
				}
			}
		}
	case "create":
		coll := &fakeCollection{kind: "view", options: map[string]any{}}
		for _, k := range []string{"viewOn", "pipeline"} {
			coll.options[k] = get(cmd, k)
		}
		c.collections[name] = coll
	case "drop":
		delete(c.collections, name)
	case "cloneCollectionAsCapped":
		c.collections[get(cmd, "toCollection").(string)] = &fakeCollection{kind: "collection", options: map[string]any{"capped": true, "size": get(cmd, "size")}, indexes: c.collections["users"].indexes[:1]}
	case "renameCollection":
		from, to := strings.TrimPrefix(name, "app."), strings.TrimPrefix(get(cmd, "to").(string), "app.")
		c.collections[to] = c.collections[from]
		delete(c.collections, from)
	case "collStats":
		return ok(bson.E{Key: "size", Value: int32(700)})
	case "createUser":
		if get(cmd, "pwd") == "[redacted]" {
			panic("the password that was sent is the one of the plan file")
		}
		u := bson.D{{Key: "user", Value: name}, {Key: "db", Value: db}, {Key: "roles", Value: get(cmd, "roles")}}
		if v := get(cmd, "customData"); v != nil {
			u = append(u, bson.E{Key: "customData", Value: v})
		}
		c.users[key] = append(u, bson.E{Key: "mechanisms", Value: bson.A{map[bool]string{true: "external", false: "SCRAM-SHA-256"}[db == "$external"]}})
	case "dropUser":
		delete(c.users, key)
	case "updateUser":
		for _, k := range []string{"roles", "customData"} {
			if v := get(cmd, k); v != nil {
				c.users[key] = set(c.users[key], k, v)
			}
		}
	case "grantRolesToUser":
		c.users[key] = set(c.users[key], "roles", append(slices.Clone(get(c.users[key], "roles").(bson.A)), get(cmd, "roles").(bson.A)...))
	case "revokeRolesFromUser":
		c.users[key] = set(c.users[key], "roles", bson.A{})
	case "createRole":
		c.roles[key] = bson.D{{Key: "role", Value: name}, {Key: "db", Value: db}, {Key: "roles", Value: get(cmd, "roles")}, {Key: "privileges", Value: get(cmd, "privileges")}}
	case "dropRole":
		delete(c.roles, key)
		for k, u := range c.users {
			kept := bson.A{}
			for _, r := range get(u, "roles").(bson.A) {
				if get(r.(bson.D), "role") != name {
					kept = append(kept, r)
				}
			}
			c.users[k] = set(u, "roles", kept)
		}
	case "updateRole", "grantPrivilegesToRole":
		for _, k := range []string{"roles", "privileges"} {
			if v := get(cmd, k); v != nil {
				c.roles[key] = set(c.roles[key], k, v)
			}
		}
	case "serverStatus", "hostInfo", "connectionStatus", "getCmdLineOpts", "endSessions", "ping", "compact":
	default:
		return bson.D{{Key: "ok", Value: 0.0}, {Key: "code", Value: int32(59)}, {Key: "codeName", Value: "CommandNotFound"}, {Key: "errmsg", Value: "no such command: " + cmd[0].Key}}
	}
	return ok()
}

// process is what a server says of itself in hello that no other does.
func process() bson.D {
	return bson.D{{Key: "topologyVersion", Value: bson.D{{Key: "processId", Value: bson.NewObjectID()}, {Key: "counter", Value: int64(0)}}}}
}

// catalogueServer is a server that is a catalogue.
func catalogueServer(t *testing.T, env string) (*server, *catalogue) {
	t.Helper()
	c := newCatalogue(env)
	f := wiretest.NewFake(t, process(), c.answer)
	return &server{uri: f.URI(), db: "app"}, c
}

var runs = []struct {
	name, cmd, phrase, facts string
	stays                    bool   // irreversible
	partial                  string // what undo does not bring back: a part of the state's text
	nothing                  bool
	env                      string // "" is staging, where policy asks only for a confirmation
}{
	{name: "validator", cmd: `{"collMod": "users", "validator": {"age": {"$gt": 17}}}`, phrase: "collMod app.users", facts: "changes-options", env: "production"},
	{name: "TTL", cmd: `{"collMod": "users", "index": {"name": "at_1", "expireAfterSeconds": 60}}`, phrase: "collMod app.users CODE", facts: "ttl-deletes changes-options", env: "production"},
	{name: "view's pipeline", cmd: `{"collMod": "adults", "viewOn": "users", "pipeline": []}`, phrase: "collMod app.adults", facts: "changes-options", env: "production"},
	{name: "unique conversion", cmd: `{"collMod": "users", "index": {"name": "at_1", "unique": true}}`, phrase: "collMod app.users CODE", facts: "irreversible", stays: true, env: "production"},
	{name: "create a view", cmd: `{"create": "kids", "viewOn": "users", "pipeline": []}`, phrase: "create app.kids", facts: "creates-collection", env: "production"},
	{name: "clone as capped", cmd: `{"cloneCollectionAsCapped": "users", "toCollection": "last", "size": 500}`, phrase: "cloneCollectionAsCapped app.last", facts: "creates-collection changes-options", env: "production"},
	{name: "drop a view", cmd: `{"drop": "adults"}`, phrase: "drop app.adults", facts: "drops-collection", env: "production"},
	{name: "profiler", cmd: `{"profile": 2, "slowms": 5}`, phrase: "profile app", facts: "changes-options", env: "production"},
	{name: "killOp", cmd: `admin: {"killOp": 1, "op": 77}`, phrase: "killOp admin CODE", facts: "irreversible", stays: true, env: "production"},
	{name: "killOp of nothing", cmd: `admin: {"killOp": 1, "op": 78}`, facts: "no-match", nothing: true, env: "production"},
	{name: "parameter", cmd: `admin: {"setParameter": 1, "cursorTimeoutMillis": 1}`, phrase: "setParameter admin", facts: "changes-options"},
	{name: "create a user", cmd: `{"createUser": "eve", "pwd": "kestrel-7431", "roles": [{"role": "read", "db": "app"}]}`, phrase: "createUser app.eve", facts: "changes-access"},
	{name: "drop a user", cmd: `{"dropUser": "ann"}`, phrase: "dropUser app.ann CODE", facts: "changes-access irreversible", stays: true},
	{name: "drop a user without a password", cmd: `$external: {"dropUser": "bob"}`, phrase: "dropUser $external.bob CODE", facts: "changes-access"},
	{name: "update a user", cmd: `{"updateUser": "ann", "roles": [], "customData": {"team": "b"}}`, phrase: "updateUser app.ann CODE", facts: "changes-access"},
	{name: "a user's password", cmd: `{"updateUser": "ann", "pwd": "kestrel-7431"}`, phrase: "updateUser app.ann CODE", facts: "irreversible", stays: true},
	{name: "grant", cmd: `{"grantRolesToUser": "ann", "roles": [{"role": "writer", "db": "app"}]}`, phrase: "grantRolesToUser app.ann CODE", facts: "changes-access"},
	{name: "revoke", cmd: `{"revokeRolesFromUser": "ann", "roles": [{"role": "read", "db": "app"}]}`, phrase: "revokeRolesFromUser app.ann CODE", facts: "changes-access"},
	{name: "create a role", cmd: `{"createRole": "auditor", "privileges": [], "roles": []}`, phrase: "createRole app.auditor", facts: "changes-access"},
	{name: "update a role", cmd: `{"updateRole": "writer", "privileges": []}`, phrase: "updateRole app.writer CODE", facts: "changes-access"},
	{name: "grant a privilege", cmd: `{"grantPrivilegesToRole": "writer", "privileges": []}`, phrase: "grantPrivilegesToRole app.writer CODE", facts: "changes-access"},
	{name: "drop a role", cmd: `{"dropRole": "writer"}`, phrase: "dropRole app.writer CODE", facts: "changes-access partial-undo", partial: "user $external.bob"},
	{name: "no inverse", cmd: `{"compact": "users"}`, phrase: "compact app.users CODE", facts: "irreversible", stays: true},
}

// TestCommandsWithAnInverse carries what is no document write and no plain schema work through its life: previewed, declined, confirmed, undone. Irreversible
// work says so before it is confirmed, and undo refuses it.
func TestCommandsWithAnInverse(t *testing.T) {
	t.Parallel()
	for _, c := range runs {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			env := c.env
			if env == "" {
				env = "staging"
			}
			s, cat := catalogueServer(t, env)
			before := cat.state()
			b := s.onDisk(t)
			st, _, err := b.runIn(guard.Preview, c.cmd)
			if err != nil {
				t.Fatalf("preview: %v", err)
			}
			plans, _ := st.Plans()
			codes := " "
			for _, f := range plans[0].Facts() {
				codes += f.Code + " "
			}
			for _, want := range strings.Fields(c.facts) {
				if !strings.Contains(codes, " "+want+" ") {
					t.Errorf("the facts are%s, without %s", codes, want)
				}
			}
			b.op.answer = func(guard.Question) guard.Answer { return guard.Answer{Text: "yes", Manner: guard.Typed} }
			_, _, err = b.run(c.cmd)
			var refused *guard.Refused
			if !c.nothing && (!errors.As(err, &refused) || !refused.Declined) {
				t.Fatalf("declined: %v", err)
			}
			if len(cat.sent) > 0 {
				t.Fatalf("declined, and this was sent: %s", cat.sent[0])
			}
			b.op.answer, b.op.asked = nil, nil
			if _, _, err = b.run(c.cmd); err != nil {
				t.Fatalf("confirmed: %v", err)
			}
			if c.nothing {
				if len(b.op.asked) > 0 || len(cat.sent) > 0 {
					t.Fatalf("%d questions, sent %v", len(b.op.asked), cat.sent)
				}
				return
			}
			checkPhrase(t, b.op.asked, c.phrase)
			checkReceipt(t, b)
			if len(cat.sent) != 1 {
				t.Fatalf("%d commands were sent: %v", len(cat.sent), cat.sent)
			}
			after := cat.state()
			for _, f := range b.files() {
				if text, err := os.ReadFile(f); err != nil || bytes.Contains(text, []byte("kestrel")) {
					t.Errorf("%s holds a password (%v)", filepath.Base(f), err)
				}
			}

			_, err = b.undo(b.last())
			if c.stays {
				if !errors.As(err, &refused) {
					t.Fatalf("undo of what cannot be undone: %v", err)
				}
				if d := cmp.Diff(after, cat.state()); d != "" {
					t.Fatalf("and yet: %s", d)
				}
				return
			}
			if err != nil {
				t.Fatalf("undo: %v", err)
			}
			d := cmp.Diff(before, cat.state())
			if c.partial == "" && d != "" {
				t.Fatalf("after undo: %s", d)
			}
			if c.partial != "" && !strings.Contains(d, "writer") {
				t.Fatalf("the preview said what undo does not bring back, and undo did: %s", d)
			}
		})
	}
}

// TestUndoOfACommandRespectsOthers: what somebody else changed since is left alone, before the change and before its undo.
func TestUndoOfACommandRespectsOthers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, cmd, other string }{
		{"collMod", `{"collMod": "users", "validator": {"age": {"$gt": 17}}}`, `{"collMod": "users", "validator": {"age": {"$gt": 99}}}`},
		{"role", `{"updateRole": "writer", "privileges": []}`, `{"updateRole": "writer", "roles": []}`},
		{"user", `{"updateUser": "ann", "roles": []}`, `{"updateUser": "ann", "customData": {"team": "z"}}`},
		{"parameter", `admin: {"setParameter": 1, "cursorTimeoutMillis": 1}`, `{"setParameter": 1, "cursorTimeoutMillis": 5}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, cat := catalogueServer(t, "staging")
			b := s.bench(t)
			meddle := func() string { cat.answer("app", raw(t, c.other)); return cat.state() }
			theirs := ""
			b.op.answer = func(q guard.Question) guard.Answer { theirs = meddle(); return typed(q) }
			if _, _, err := b.run(c.cmd); err == nil {
				t.Error("what was left alone was not said")
			}
			if d := cmp.Diff(theirs, cat.state()); d != "" {
				t.Fatalf("during the question: %s", d)
			}

			s, cat = catalogueServer(t, "staging")
			b = s.bench(t)
			if _, _, err := b.run(c.cmd); err != nil {
				t.Fatal(err)
			}
			theirs = meddle()
			if _, err := b.undo(b.last()); err == nil {
				t.Error("undo said nothing")
			}
			if d := cmp.Diff(theirs, cat.state()); d != "" {
				t.Fatalf("before undo: %s", d)
			}
		})
	}
}

// TestSecretsAreNotPlanned: a parameter whose value is a secret cannot be shown, nor kept for undo.
func TestSecretsAreNotPlanned(t *testing.T) {
	t.Parallel()
	s, cat := catalogueServer(t, "staging")
	b := s.bench(t)
	_, _, err := b.run(`admin: {"setParameter": 1, "ldapQueryPassword": "kestrel-7431"}`)
	if !errors.Is(err, plan.ErrNotPlanned) && (err == nil || !strings.Contains(err.Error(), "secret")) {
		t.Errorf("the error is %v", err)
	}
	if len(cat.sent) > 0 || len(b.files()) > 0 {
		t.Errorf("sent %v, files %v", cat.sent, b.files())
	}
}

// TestCommandsAreRecovered: a crash behind the intent, before and after the command, is told by what the server says.
func TestCommandsAreRecovered(t *testing.T) {
	t.Parallel()
	for _, c := range runs {
		if c.nothing {
			continue
		}
		s, cat := catalogueServer(t, map[string]string{"": "staging"}[c.env]+c.env)
		b := s.bench(t)
		if _, _, err := b.run(c.cmd); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		r, err := b.gate.Recover(t.Context(), b.d, b.last())
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		want := replay.StatusApplied
		if c.name == "killOp" || c.name == "no inverse" || c.name == "a user's password" {
			want = replay.StatusUnknown // nothing on the server tells
		}
		if r.Status != want {
			t.Errorf("%s: found %s (%s), want %s; %v", c.name, r.Status, r.Found, want, cat.sent)
		}
	}
}
