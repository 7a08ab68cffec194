package complete

import (
	"strings"
	"testing"
)

var catalogue = Catalogue{
	Words:       []Suggestion{{"show", ""}, {"use", ""}, {"undo", ""}, {"preview", ""}},
	Arguments:   map[string][]Suggestion{"show": {{"dbs", ""}, {"collections", ""}}},
	Globals:     []Suggestion{{"ObjectId", ""}, {"ISODate", ""}},
	Methods:     map[string][]Suggestion{"Database": {{"getCollection", ""}, {"dropDatabase", ""}}, "Collection": {{"find", ""}, {"findOne", ""}, {"deleteMany", ""}}, "Cursor": {{"sort", ""}, {"limit", ""}}},
	Databases:   []string{"famigo", "admin"},
	Collections: []string{"families", "devices", "fs.files", "fs.chunks"},
}

func TestComplete(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", ""},
		{"s", "show"},
		{"u", "use undo"},
		{"show ", "dbs collections"},
		{"show c", "collections"},
		{"use f", "famigo"},
		{"db", ""},
		{"db.", "families devices fs.files fs.chunks getCollection dropDatabase"},
		{"db.f", "families fs.files fs.chunks"},
		{"preview db.d", "devices dropDatabase"},
		{"x = db.dev", "devices"},
		{"db.families.", "find findOne deleteMany"},
		{"db.families.find", "findOne"},
		{"db.fs.", "find findOne deleteMany files chunks"},
		{"db.families.find({a: 1}).", "sort limit"},
		{"db.families.find({a: (1)}).sort({a: 1}).l", "limit"},
		{"db.getCollection('x').fi", "find findOne"},
		{"db.families.find({a: {$g", "$gt $gte"},
		{"db.families.updateMany({}, {$se", "$set $setOnInsert"},
		{"db.families.aggregate([{$lo", "$lookup"},
		{"db.families.find({a: 'db.", ""},
		{"db.families.find({_id: Obj", "ObjectId"},
		{"mydb.", ""},
	} {
		var got []string
		for _, s := range Complete(tt.text, catalogue) {
			got = append(got, s.Text)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("Complete(%q) = %q, want %q", tt.text, strings.Join(got, " "), tt.want)
		}
	}
}

func FuzzComplete(f *testing.F) {
	f.Add("db.families.find({a: 1}).")
	f.Fuzz(func(t *testing.T, s string) { Complete(s, catalogue) })
}

func BenchmarkComplete(b *testing.B) {
	for b.Loop() {
		Complete("db.families.find({a: {$gt: 1}}).sort({a: 1}).l", catalogue)
	}
}
