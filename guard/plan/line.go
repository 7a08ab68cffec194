package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The lines of documents are by far the most, one for each; encoding/json takes longer for one than everything else that is done to a document. Here is
// the same encoding, byte for byte, for lines without anything unusual; what is unusual goes through encoding/json. Reading likewise.

// appendItem appends the line of a document, with its newline.
func appendItem(b []byte, it *Item) ([]byte, error) {
	if !plainText(it.NS) || !plainText(it.Op) || it.Unpredictable != "" || it.Upsert || len(it.Open) > 0 || len(it.Key) > 0 || !plainJSON(it.ID) {
		text, err := json.Marshal(line{Document: it})
		if err != nil {
			return b, fmt.Errorf("plan file: %w", err)
		}
		return append(append(b, text...), '\n'), nil
	}
	b = strconv.AppendInt(append(b, `{"document":{"n":`...), it.N, 10)
	b = strconv.AppendInt(append(b, `,"c":`...), int64(it.Command), 10)
	b = strconv.AppendInt(append(b, `,"s":`...), int64(it.Statement), 10)
	b = append(append(append(b, `,"ns":"`...), it.NS...), `","op":"`...)
	b = append(append(append(b, it.Op...), `","id":`...), it.ID...)
	b = appendImage(b, `,"before":`, it.Before)
	b = appendImage(b, `,"after":`, it.After)
	return append(b, "}}\n"...), nil
}

func appendImage(b []byte, member string, i *Image) []byte {
	if i == nil {
		return b
	}
	b = strconv.AppendInt(append(append(b, member...), `{"at":`...), i.At, 10)
	b = strconv.AppendInt(append(b, `,"bytes":`...), int64(i.Bytes), 10)
	return append(append(append(b, `,"sha256":"`...), i.SHA256...), `"}`...)
}

// plainText is text that JSON has between quotation marks as it is, also as encoding/json writes it for HTML.
func plainText(s string) bool {
	for i := range len(s) {
		if !plainByte(s[i]) {
			return false
		}
	}
	return true
}

func plainByte(c byte) bool {
	return c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
}

// plainJSON is JSON without an escape, and without what encoding/json would escape.
func plainJSON(b []byte) bool {
	for _, c := range b {
		if c != '"' && !plainByte(c) {
			return false
		}
	}
	return true
}

// parseItem reads the line of a document, if it is written as appendItem writes it without encoding/json; false if it is not.
// Requires of b that it holds one line without its newline. What it has of text is a copy.
func parseItem(b []byte) (it Item, ok bool) {
	p := scanner{b: b, ok: true}
	it.N = p.number(`{"document":{"n":`)
	it.Command = int(p.number(`,"c":`))
	it.Statement = int(p.number(`,"s":`))
	it.NS = p.text(`,"ns":"`)
	it.Op = p.text(`,"op":"`)
	it.ID = p.object(`,"id":`)
	it.Before = p.image(`,"before":`)
	it.After = p.image(`,"after":`)
	p.want("}}")
	return it, p.ok && len(p.b) == 0
}

// scanner takes one thing after the other from the front of a line.
type scanner struct {
	b  []byte
	ok bool
}

func (p *scanner) want(s string) {
	if !p.ok || len(p.b) < len(s) || string(p.b[:len(s)]) != s {
		p.ok = false
		return
	}
	p.b = p.b[len(s):]
}

// number is a decimal number as strconv writes it.
func (p *scanner) number(before string) (n int64) {
	p.want(before)
	i := 0
	for i < len(p.b) && (p.b[i] >= '0' && p.b[i] <= '9' || i == 0 && p.b[i] == '-') {
		i++
	}
	digits := p.b[:i]
	n, err := strconv.ParseInt(string(digits), 10, 64)
	p.ok = p.ok && err == nil && (len(digits) == 1 || digits[0] != '0') && string(digits) != "-0" && !bytes.HasPrefix(digits, []byte("-0"))
	p.b = p.b[i:]
	return n
}

// text is a string without escapes, whose opening mark stands at the end of before.
func (p *scanner) text(before string) string {
	p.want(before)
	i := 0
	for i < len(p.b) && plainByte(p.b[i]) {
		i++
	}
	if i == len(p.b) || p.b[i] != '"' {
		p.ok = false
		return ""
	}
	s := string(p.b[:i])
	p.b = p.b[i+1:]
	return s
}

// object is a JSON object without escapes.
func (p *scanner) object(before string) json.RawMessage {
	p.want(before)
	depth, quoted := 0, false
	for i := range len(p.b) {
		switch c := p.b[i]; {
		case c == '"':
			quoted = !quoted
		case !plainByte(c):
			p.ok = false
			return nil
		case c == '{' && !quoted:
			depth++
		case c == '}' && !quoted:
			if depth--; depth == 0 {
				id := bytes.Clone(p.b[:i+1])
				p.b = p.b[i+1:]
				p.ok = p.ok && json.Valid(id)
				return id
			}
		}
		if depth == 0 {
			break
		}
	}
	p.ok = false
	return nil
}

func (p *scanner) image(before string) *Image {
	if !bytes.HasPrefix(p.b, []byte(before)) {
		return nil
	}
	i := &Image{At: p.number(before + `{"at":`), Bytes: int(p.number(`,"bytes":`)), SHA256: p.text(`,"sha256":"`)}
	p.want("}")
	return i
}

// idText is {_id: …} in canonical Extended JSON.
func idText(id bson.RawValue) json.RawMessage {
	var buf [64]byte
	b := append(buf[:0], `{"_id":`...)
	switch id.Type {
	case bson.TypeObjectID:
		oid := id.ObjectID()
		b = append(hex.AppendEncode(append(b, `{"$oid":"`...), oid[:]), `"}`...)
	case bson.TypeInt32:
		b = append(strconv.AppendInt(append(b, `{"$numberInt":"`...), int64(id.Int32()), 10), `"}`...)
	case bson.TypeInt64:
		b = append(strconv.AppendInt(append(b, `{"$numberLong":"`...), id.Int64(), 10), `"}`...)
	default:
		text, err := bson.MarshalExtJSON(bson.D{{Key: "_id", Value: id}}, true, false)
		if err != nil {
			return json.RawMessage(`{"_id":"not valid BSON"}`)
		}
		return text
	}
	return bytes.Clone(append(b, '}'))
}

// named gives an item its _id.
func (it Item) named(id bson.RawValue) Item {
	it.ID, it.Key = idText(id), nil
	if back, err := it.DocumentID(); err != nil || back.Type != id.Type || !bytes.Equal(back.Value, id.Value) { // invalid UTF-8, what a NaN carries
		it.Key = append([]byte{byte(id.Type)}, id.Value...)
	}
	return it
}

// DocumentID is the item's _id, byte for byte.
func (it Item) DocumentID() (bson.RawValue, error) {
	if len(it.Key) > 0 {
		v := bson.RawValue{Type: bson.Type(it.Key[0]), Value: it.Key[1:]}
		if err := v.Validate(); err != nil {
			return bson.RawValue{}, fmt.Errorf("document %d: _id: %w", it.N, err)
		}
		return v, nil
	}
	if v, ok := quickID(it.ID); ok {
		return v, nil
	}
	var d struct {
		ID bson.RawValue `bson:"_id"`
	}
	if err := bson.UnmarshalExtJSON(it.ID, true, &d); err != nil {
		return bson.RawValue{}, fmt.Errorf("document %d: _id: %w", it.N, err)
	}
	return d.ID, nil
}

// quickID reads what idText writes without the driver.
func quickID(text []byte) (v bson.RawValue, ok bool) {
	p := scanner{b: text, ok: true}
	p.want(`{"_id":{"`)
	kind := p.text("")
	value := p.text(`:"`)
	p.want("}}")
	if !p.ok || len(p.b) != 0 {
		return v, false
	}
	switch kind {
	case "$oid":
		var id bson.ObjectID
		if len(value) != 2*len(id) {
			return v, false
		}
		_, err := hex.Decode(id[:], []byte(value))
		return bson.RawValue{Type: bson.TypeObjectID, Value: id[:]}, err == nil
	case "$numberInt":
		n, err := strconv.ParseInt(value, 10, 32)
		return bson.RawValue{Type: bson.TypeInt32, Value: binary.LittleEndian.AppendUint32(nil, uint32(int32(n)))}, err == nil
	case "$numberLong":
		n, err := strconv.ParseInt(value, 10, 64)
		return bson.RawValue{Type: bson.TypeInt64, Value: binary.LittleEndian.AppendUint64(nil, uint64(n))}, err == nil
	}
	return v, false
}

// Is says whether a document is the one that was spooled or foreseen, byte for byte; of no image, whether there is no document.
func (i *Image) Is(doc bson.Raw) bool {
	if i == nil || doc == nil {
		return i == nil && doc == nil
	}
	if len(doc) != i.Bytes {
		return false
	}
	sum := sha256.Sum256(doc)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return string(text[:]) == i.SHA256
}
