package wiretest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// Opcodes. Source: https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

// message is one message of the wire protocol.
type message struct {
	id, responseTo int32
	op             int32
	body           []byte // behind the header
}

const maxMessage = 64 << 20

func readMessage(r io.Reader) (message, error) {
	var h [16]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return message{}, err
	}
	n := int(binary.LittleEndian.Uint32(h[:]))
	if n < 16 || n > maxMessage {
		return message{}, fmt.Errorf("a message of %d bytes", n)
	}
	m := message{
		id: int32(binary.LittleEndian.Uint32(h[4:])), responseTo: int32(binary.LittleEndian.Uint32(h[8:])),
		op: int32(binary.LittleEndian.Uint32(h[12:])), body: make([]byte, n-16),
	}
	_, err := io.ReadFull(r, m.body)
	return m, err
}

func (m message) writeTo(w io.Writer) error {
	b := make([]byte, 0, 16+len(m.body))
	b = binary.LittleEndian.AppendUint32(b, uint32(16+len(m.body)))
	b = binary.LittleEndian.AppendUint32(b, uint32(m.id))
	b = binary.LittleEndian.AppendUint32(b, uint32(m.responseTo))
	b = binary.LittleEndian.AppendUint32(b, uint32(m.op))
	_, err := w.Write(append(b, m.body...))
	return err
}

var errNoCommand = errors.New("not an OP_MSG with a document")

// document is what an OP_MSG says: its body section, with each document sequence as an array under its name, which is how a server reads it. A message
// without sequences shares its bytes with the document.
// Source: https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/#op_msg
func (m message) document() (bson.Raw, error) {
	if m.op != opMsg || len(m.body) < 5 {
		return nil, errNoCommand
	}
	rest := m.body[4:]
	if checksum := m.body[0]&1 != 0; checksum {
		rest = rest[:max(0, len(rest)-4)]
	}
	var doc, sequences bson.Raw
	for len(rest) > 0 {
		kind := rest[0]
		section, err := sized(rest[1:])
		if err != nil {
			return nil, err
		}
		switch {
		case kind == 0 && doc == nil:
			doc = bson.Raw(section)
		case kind == 1:
			if sequences, err = appendSequence(sequences, section); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("an OP_MSG with an unexpected section of kind %d", kind)
		}
		rest = rest[1+len(section):]
	}
	if doc == nil {
		return nil, errNoCommand
	}
	if err := doc.Validate(); err != nil {
		return nil, err
	}
	return withElements(doc, sequences), nil
}

// legacy is the document of an OP_QUERY, with which drivers still begin a conversation: isMaster.
func (m message) legacy() (bson.Raw, error) {
	if m.op != opQuery || len(m.body) < 4 {
		return nil, errNoCommand
	}
	_, rest, ok := bytes.Cut(m.body[4:], []byte{0}) // behind flags and the collection's name
	if !ok || len(rest) < 8 {
		return nil, errNoCommand
	}
	doc, err := sized(rest[8:]) // behind skip and number to return
	if err != nil {
		return nil, err
	}
	return doc, bson.Raw(doc).Validate()
}

// answered is the document of an answer to m.
func (m message) answered() (bson.Raw, error) {
	if m.op != opReply {
		return m.document()
	}
	if len(m.body) < 20 {
		return nil, errNoCommand
	}
	doc, err := sized(m.body[20:])
	if err != nil {
		return nil, err
	}
	return doc, bson.Raw(doc).Validate()
}

// sized is what stands at the beginning of b, which says its length, itself included, in its first four bytes.
func sized(b []byte) ([]byte, error) {
	if len(b) < 5 {
		return nil, errors.New("a section that is cut off")
	}
	n := binary.LittleEndian.Uint32(b)
	if n < 5 || uint64(n) > uint64(len(b)) {
		return nil, errors.New("a section that is longer than its message")
	}
	return b[:n], nil
}

// appendSequence appends a section of kind 1 to elements, as an array.
func appendSequence(elements, section []byte) ([]byte, error) {
	name, docs, ok := bytes.Cut(section[4:], []byte{0})
	if !ok {
		return nil, errors.New("a document sequence without a name")
	}
	at, elements := bsoncore.AppendArrayElementStart(elements, string(name))
	for i := 0; len(docs) > 0; i++ {
		doc, err := sized(docs)
		if err != nil {
			return nil, err
		}
		if err := bson.Raw(doc).Validate(); err != nil {
			return nil, err
		}
		elements = bsoncore.AppendDocumentElement(elements, strconv.Itoa(i), doc)
		docs = docs[len(doc):]
	}
	return bsoncore.AppendArrayEnd(elements, at)
}

// withElements is doc with encoded elements behind its own; doc itself if there are none.
func withElements(doc bson.Raw, elements []byte) bson.Raw {
	if len(elements) == 0 {
		return doc
	}
	out := make([]byte, 0, len(doc)+len(elements))
	out = append(append(append(out, doc[:len(doc)-1]...), elements...), 0)
	binary.LittleEndian.PutUint32(out, uint32(len(out)))
	return out
}

// with is doc with fields behind its own.
func with(doc bson.Raw, fields bson.D) bson.Raw {
	return withElements(doc, elementsOf(encode(fields)))
}

// without is doc less the fields of some names; doc itself if it has none of them.
func without(doc bson.Raw, names ...string) bson.Raw {
	elems, err := doc.Elements()
	if err != nil {
		return doc
	}
	var kept []byte
	for _, e := range elems {
		if !slices.Contains(names, e.Key()) {
			kept = append(kept, e...)
		}
	}
	if len(kept) == len(doc)-5 {
		return doc
	}
	return withElements(bson.Raw{5, 0, 0, 0, 0}, kept)
}

// elementsOf is the inside of an encoded document.
func elementsOf(doc bson.Raw) []byte { return doc[4 : len(doc)-1] }

// encode encodes what a test or this package made. It panics if that cannot be encoded, which is a mistake in the test.
func encode(v any) bson.Raw {
	b, err := bson.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("wiretest: %v cannot be encoded: %v", v, err))
	}
	return b
}

// withDocument is the message with another document.
func (m message) withDocument(doc bson.Raw) message {
	m.body = append([]byte{0, 0, 0, 0, 0}, doc...)
	return m
}

// reply is an answer to m with a document.
func (m message) reply(doc bson.Raw) message {
	if m.op == opQuery {
		body := make([]byte, 20) // flags, cursor, starting from, and one document
		body[0] = 8              // AwaitCapable
		body[16] = 1
		return message{responseTo: m.id, op: opReply, body: append(body, doc...)}
	}
	return message{responseTo: m.id, op: opMsg}.withDocument(doc)
}
