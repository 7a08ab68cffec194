package plan

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/replay/durable"
)

// TestSpool: what was spooled in many files is there after sync, can be read in any order, and unpacks with any gzip to what was put in.
func TestSpool(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "change")
	sp, err := newSpool(durable.OS{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	const documents = 3000
	namespaces := []string{"app.small", "app.big", "app.dots.in/name"}
	type put struct {
		it  Item
		doc bson.Raw
	}
	var all []put
	whole := map[string][]byte{}
	for i := range documents {
		ns := namespaces[i%len(namespaces)]
		doc, err := bson.Marshal(bson.D{{Key: "_id", Value: int32(i)}, {Key: "filler", Value: strings.Repeat(fmt.Sprint(i), i%200)}})
		if err != nil {
			t.Fatal(err)
		}
		if ns == "app.big" && i%300 == 1 {
			if doc, err = bson.Marshal(bson.D{{Key: "_id", Value: int32(i)}, {Key: "filler", Value: strings.Repeat("x", 3*block)}}); err != nil {
				t.Fatal(err)
			}
		}
		image, err := sp.image("before", ns, doc, "")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, put{Item{N: int64(i), NS: ns, Before: image}, doc})
		whole[ns] = append(whole[ns], doc...)
	}
	if _, err := sp.file(filepath.Join("before", imageName("app.empty"))); err != nil {
		t.Fatal(err)
	}
	if err := sp.sync(); err != nil {
		t.Fatal(err)
	}
	if _, err := sp.readBack(); err != nil {
		t.Fatal(err)
	}
	for _, ns := range append(namespaces, "app.empty") {
		f, err := os.Open(filepath.Join(dir, "before", imageName(ns)))
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatalf("%s: %v", ns, err)
		}
		if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, whole[ns]) {
			t.Errorf("%s unpacks to %d bytes (%v), want %d", ns, len(got), err, len(whole[ns]))
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	p := &Plan{dir: dir, header: Header{Version: formatVersion}}
	images := p.Images()
	defer images.Close()
	for _, step := range []int{1, 7, -1} { // forward, with gaps, and backward
		for i := range documents / 10 {
			x := all[(documents+i*step*10)%documents]
			if got, err := images.Before(x.it); err != nil || !bytes.Equal(got, x.doc) {
				t.Fatalf("step %d, document %d: %d bytes, %v", step, x.it.N, len(got), err)
			}
		}
	}
	bad := all[5].it
	bad.Before = &Image{At: bad.Before.At, Bytes: bad.Before.Bytes, SHA256: hashOf(nil)}
	if _, err := images.Before(bad); err == nil {
		t.Error("an image with another hash was taken")
	}
}

// TestSpoolEnds: no goroutine is left behind, whichever way a spool ends.
func TestSpoolEnds(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, end := range []func(*spool) error{(*spool).sync, (*spool).discard, (*spool).flush} {
		sp, err := newSpool(durable.OS{}, filepath.Join(t.TempDir(), "change"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sp.append(planFile, make([]byte, 5*block)); err != nil {
			t.Fatal(err)
		}
		if err := end(sp); err != nil {
			t.Fatal(err)
		}
		if sp.jobs != nil {
			t.Error("the goroutine was not ended")
		}
		_ = sp.closeAll() // it may be closed
	}
	if after := runtime.NumGoroutine(); after > before+5 { // tests that run beside this one have their own
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

// TestReadBackNotices: a file that has other bytes, fewer or more than were written is no backup.
func TestReadBackNotices(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func([]byte) []byte{
		"a bit":    func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"shorter":  func(b []byte) []byte { return b[:len(b)-1] },
		"longer":   func(b []byte) []byte { return append(b, b...) },
		"nothing":  func([]byte) []byte { return nil },
		"the end":  func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"the head": func(b []byte) []byte { b[0] ^= 1; return b },
	} {
		dir := filepath.Join(t.TempDir(), "change")
		sp, err := newSpool(durable.OS{}, dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sp.image("before", "app.users", bson.Raw{5, 0, 0, 0, 0}, ""); err != nil {
			t.Fatal(err)
		}
		if err := sp.sync(); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "before", imageName("app.users"))
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, harm(b), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := sp.readBack(); err == nil {
			t.Errorf("%s: not noticed", name)
		}
	}
}

// TestImageNames: names as mongodump gives them.
func TestImageNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	for ns, want := range map[string]string{
		"app.users":     "app/users.bson.gz",
		"app.a.b":       "app/a.b.bson.gz",
		"app.a/b%c":     "app/a%2Fb%25c.bson.gz",
		"app.漢":         "app/%E6%BC%A2.bson.gz",
		"app." + long:   "app/" + strings.Repeat("x", 208) + "%24", // and a hash
		"my-db.plain $": "my-db/plain%20$.bson.gz",
	} {
		got := filepath.ToSlash(imageName(ns))
		if got != want && !(strings.HasSuffix(want, "%24") && strings.HasPrefix(got, want) && len(filepath.Base(got)) == 238+len(".bson.gz")) {
			t.Errorf("imageName(%s) = %s, want %s", ns, got, want)
		}
	}
	if imageName("app."+long) == imageName("app."+long+"y") {
		t.Error("two long names have one file")
	}
}

// TestVersion1: the files of a change of format version 1 are still read.
func TestVersion1(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	doc, err := bson.Marshal(bson.D{{Key: "_id", Value: int32(1)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "before", "app"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "before", "app", "users.bson"), append(doc, doc...), 0o600); err != nil {
		t.Fatal(err)
	}
	text := `{"plan":{"version":1,"change":"20261122-aaaaa","created":"2026-11-22T10:00:00Z","deployment":"db","identity":{},"environment":"production","evidence":[],"class":"document write","road":"expr"}}
{"document":{"n":0,"c":-1,"s":0,"ns":"app.users","op":"delete","id":{"_id":{"$numberInt":"1"}},"before":{"at":` + fmt.Sprint(len(doc)) + `,"bytes":` + fmt.Sprint(len(doc)) + `,"sha256":"` + hashOf(doc) + `"}}}
{"totals":{"documents":1,"counts":[],"facts":[],"backup":{"possible":true,"documents":1,"bytes":14}}}
`
	if err := os.WriteFile(filepath.Join(dir, planFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Open(dir, hashOf([]byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	images := p.Images()
	defer images.Close()
	n := 0
	err = p.Items(func(it Item) error {
		n++
		got, err := images.Before(it)
		if !bytes.Equal(got, doc) {
			t.Errorf("%v, want %v", got, bson.Raw(doc))
		}
		return err
	})
	if err != nil || n != 1 {
		t.Fatal(n, err)
	}
}
