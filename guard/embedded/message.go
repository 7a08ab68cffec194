package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// Source: https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
const (
	opMsg      = 2013
	header     = 16
	maxMessage = 64 << 20 // more than any that MongoDB takes

	checksumPresent = 1 << 0
	moreToCome      = 1 << 1
)

// message is one message of the wire protocol, with its header.
type message []byte

func readMessage(r io.Reader) (message, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n < header || n > maxMessage {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	m := make(message, n)
	copy(m, size[:])
	_, err := io.ReadFull(r, m[4:])
	return m, err
}

func (m message) word(at int) uint32 { return binary.LittleEndian.Uint32(m[at:]) }

// unanswered says that the client waits for no reply.
func (m message) unanswered() bool {
	return len(m) >= header+4 && m.word(12) == opMsg && m.word(header)&moreToCome != 0
}

var errNoCommand = errors.New("not an OP_MSG with a document")

// document is what an OP_MSG says: its document, with each document sequence as an array under its name, which is how a server reads it. It may share the
// message's memory.
func (m message) document() (bson.Raw, error) {
	if len(m) < header+5 || m.word(12) != opMsg {
		return nil, errNoCommand
	}
	rest := m[header+4:]
	if m.word(header)&checksumPresent != 0 {
		rest = rest[:max(0, len(rest)-4)]
	}
	var doc bson.Raw
	var sequences []byte
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
			return nil, fmt.Errorf("a section of kind %d that is not expected", kind)
		}
		rest = rest[1+len(section):]
	}
	if doc == nil {
		return nil, errNoCommand
	}
	if err := doc.Validate(); err != nil {
		return nil, err
	}
	if len(sequences) == 0 {
		return doc, nil
	}
	return bsoncore.BuildDocument(nil, append(bytes.Clone(doc[4:len(doc)-1]), sequences...)), nil
}

// sized is what stands at the beginning of b and says in its first four bytes how long it is.
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

// answer is the answer to m that says doc.
func (m message) answer(doc bson.Raw) message {
	out := m.with(doc)
	copy(out[8:12], m[4:8])
	return out
}

// with is an OP_MSG with the same number that says doc.
func (m message) with(doc bson.Raw) message {
	out := make(message, 0, header+5+len(doc))
	out = binary.LittleEndian.AppendUint32(out, uint32(header+5+len(doc)))
	out = append(out, m[4:12]...) // its number, and that of the message that it answers
	out = binary.LittleEndian.AppendUint32(out, opMsg)
	out = append(out, 0, 0, 0, 0, 0) // no flags; a section of kind 0
	return append(out, doc...)
}
