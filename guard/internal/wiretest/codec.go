package wiretest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"go.mongodb.org/mongo-driver/v2/bson"
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

// document is the body section of an OP_MSG. Document sequences (kind 1) are not sent by what is tested here.
func (m message) document() (bson.Raw, error) {
	if m.op != opMsg || len(m.body) < 10 || m.body[4] != 0 {
		return nil, errors.New("not an OP_MSG with one document")
	}
	doc := bson.Raw(m.body[5:])
	n := int(binary.LittleEndian.Uint32(doc))
	if n > len(doc) {
		return nil, errors.New("a document that is longer than its message")
	}
	return doc[:n], doc[:n].Validate()
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
