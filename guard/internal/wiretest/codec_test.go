package wiretest

import (
	"bytes"
	"encoding/binary"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// opMsgOf is an OP_MSG of these sections, each with its kind in front.
func opMsgOf(sections ...[]byte) message {
	body := []byte{0, 0, 0, 0}
	for _, s := range sections {
		body = append(body, s...)
	}
	return message{op: opMsg, body: body}
}

func bodySection(doc bson.D) []byte { return append([]byte{0}, encode(doc)...) }

func sequenceSection(name string, docs ...bson.D) []byte {
	b := append([]byte(name), 0)
	for _, d := range docs {
		b = append(b, encode(d)...)
	}
	return append(binary.LittleEndian.AppendUint32([]byte{1}, uint32(4+len(b))), b...)
}

// TestDocumentSequences: a driver's helpers send the statements of a write beside the command. What is recorded is what a server reads.
func TestDocumentSequences(t *testing.T) {
	t.Parallel()
	one, two := bson.D{{Key: "_id", Value: int32(1)}}, bson.D{{Key: "_id", Value: int32(2)}, {Key: "a", Value: "b"}}
	head := bson.D{{Key: "insert", Value: "people"}, {Key: "$db", Value: "app"}}
	want := encode(append(head[:2:2], bson.E{Key: "documents", Value: bson.A{one, two}}))
	for name, m := range map[string]message{
		"behind the command": opMsgOf(bodySection(head), sequenceSection("documents", one, two)),
		"before the command": opMsgOf(sequenceSection("documents", one, two), bodySection(head)),
	} {
		got, err := m.document()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
	if got, err := opMsgOf(bodySection(head)).document(); err != nil || !bytes.Equal(got, encode(head)) {
		t.Errorf("without any: %v, %v", got, err)
	}
}

// TestWithout: what is left keeps its bytes and its order.
func TestWithout(t *testing.T) {
	t.Parallel()
	doc := encode(bson.D{{Key: "a", Value: 1}, {Key: "b", Value: bson.D{{Key: "a", Value: 2}}}, {Key: "c", Value: "x"}})
	if got, want := without(doc, "a", "z"), encode(bson.D{{Key: "b", Value: bson.D{{Key: "a", Value: 2}}}, {Key: "c", Value: "x"}}); !bytes.Equal(got, want) {
		t.Errorf("without a: %v, want %v", got, want)
	}
	if got := without(doc, "z"); !bytes.Equal(got, doc) {
		t.Errorf("without what it lacks: %v", got)
	}
	if got := with(without(doc, "c"), bson.D{{Key: "c", Value: "x"}}); !bytes.Equal(got, doc) {
		t.Errorf("taken away and put back: %v", got)
	}
}

// FuzzDocument: no bytes of a client make the double fall over.
func FuzzDocument(f *testing.F) {
	f.Add(opMsgOf(bodySection(bson.D{{Key: "ping", Value: 1}}), sequenceSection("x", bson.D{}, bson.D{{Key: "a", Value: 1}})).body)
	f.Add([]byte{1, 0, 0, 0, 0})
	f.Add([]byte("\x04\x00\x00\x00admin.$cmd\x00\x00\x00\x00\x00\xff\xff\xff\xff\x05\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, op := range []int32{opMsg, opQuery, opReply} {
			m := message{op: op, body: body}
			for _, read := range []func() (bson.Raw, error){m.document, m.legacy, m.answered} {
				if doc, err := read(); err == nil && doc.Validate() != nil {
					t.Errorf("a document that is none: %x", doc)
				}
			}
		}
	})
}
