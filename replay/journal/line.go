package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"respect/replay"
)

// zeroHash is the Prev of a first line.
const zeroHash = "0000000000000000000000000000000000000000000000000000000000000000"

// hashSuffix is the length of `,"hash":"` + 64 digits + `"}`.
const hashSuffix = len(`,"hash":""}`) + 2*sha256.Size

// maxLine bounds a line that is read, in bytes: a command is at most 48 MB, and escapes may double it.
const maxLine = 128 << 20

// encodeLine is the one encoding of an event, with its newline. It sets e.Hash.
// ParseLine(encodeLine(e)) == e.
func encodeLine(e *replay.Event) []byte {
	var b bytes.Buffer
	b.WriteString(`{"seq":`)
	b.WriteString(strconv.FormatUint(e.Seq, 10))
	b.WriteString(`,"time":"`)
	b.WriteString(e.Time.UTC().Format(time.RFC3339Nano))
	b.WriteString(`","kind":"`)
	b.WriteString(string(e.Kind))
	b.WriteString(`","body":`)
	b.Write(e.Body)
	b.WriteString(`,"prev":"`)
	b.WriteString(e.Prev)
	b.WriteString(`"`)
	sum := sha256.Sum256(b.Bytes())
	e.Hash = hex.EncodeToString(sum[:])
	b.WriteString(`,"hash":"`)
	b.WriteString(e.Hash)
	b.WriteString("\"}\n")
	return b.Bytes()
}

// Line is an event as it stands in its file, with its newline.
func Line(e replay.Event) ([]byte, error) {
	body, err := e.Bytes()
	if err != nil {
		return nil, err
	}
	want := e.Hash
	e.Body = body
	line := encodeLine(&e)
	if e.Hash != want {
		return nil, fmt.Errorf("%w: seq %d", ErrHash, e.Seq)
	}
	return line, nil
}

// encodeBody writes a body as JSON with everything hostile escaped.
func encodeBody(body any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		return nil, fmt.Errorf("journal: encode event: %w", err)
	}
	return escapeHostile(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// escapeHostile turns format characters and C1 controls into \u escapes. Outside strings JSON has none, and
// encoding/json has escaped C0 already.
func escapeHostile(b []byte) []byte {
	var out []byte
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r >= 0x7f && replay.Hostile(r) {
			if out == nil {
				out = append(make([]byte, 0, len(b)+16), b[:i]...)
			}
			for _, u := range utf16(r) {
				out = fmt.Appendf(out, `\u%04x`, u)
			}
		} else if out != nil {
			out = append(out, b[i:i+n]...)
		}
		i += n
	}
	if out == nil {
		return b
	}
	return out
}

func utf16(r rune) []rune {
	if r < 0x10000 {
		return []rune{r}
	}
	r -= 0x10000
	return []rune{0xd800 + r>>10, 0xdc00 + r&0x3ff}
}

// Reasons why a line does not verify. They are wrapped with the place and the evidence.
var (
	ErrFormat = errors.New("is not a journal line")
	ErrHash   = errors.New("was edited: its hash does not fit its bytes")
	ErrChain  = errors.New("does not follow the line before it")
)

// ParseLine reads one line, without its newline, and verifies its hash; that it follows the line before is the caller's to check.
// The event's Body shares the line's bytes. That what stands between the separators is valid JSON is not looked at: the hash says that it is what was
// written, and who decodes it finds out.
func ParseLine(line []byte) (replay.Event, error) {
	var e replay.Event
	cut := len(line) - hashSuffix
	if cut <= 0 || !bytes.HasPrefix(line[cut:], []byte(`,"hash":"`)) || !bytes.HasSuffix(line, []byte(`"}`)) {
		return e, fmt.Errorf("%w: no hash at its end", ErrFormat)
	}
	e.Hash = string(line[len(line)-2-2*sha256.Size : len(line)-2])
	if sum := sha256.Sum256(line[:cut]); hex.EncodeToString(sum[:]) != e.Hash {
		return e, fmt.Errorf("%w: it says %s, its bytes give %x", ErrHash, e.Hash, sum)
	}
	rest := line[:cut]
	var seq, stamp, kind string
	var ok bool
	if seq, rest, ok = member(rest, `{"seq":`, `,"time":"`); !ok {
		return e, fmt.Errorf("%w: no seq", ErrFormat)
	}
	if stamp, rest, ok = member(rest, `,"time":"`, `","kind":"`); !ok {
		return e, fmt.Errorf("%w: no time", ErrFormat)
	}
	if kind, rest, ok = member(rest, `","kind":"`, `","body":`); !ok {
		return e, fmt.Errorf("%w: no kind", ErrFormat)
	}
	tail := len(rest) - len(`,"prev":""`) - 2*sha256.Size
	if tail < len(`","body":{}`) || !bytes.HasPrefix(rest[tail:], []byte(`,"prev":"`)) {
		return e, fmt.Errorf("%w: no prev", ErrFormat)
	}
	e.Prev = string(rest[tail+len(`,"prev":"`) : len(rest)-1])
	e.Body = json.RawMessage(rest[len(`","body":`):tail])
	e.Kind = replay.Kind(kind)
	var err error
	if e.Seq, err = strconv.ParseUint(seq, 10, 64); err != nil || strconv.FormatUint(e.Seq, 10) != seq {
		return e, fmt.Errorf("%w: seq %q", ErrFormat, seq)
	}
	if e.Time, err = time.Parse(time.RFC3339Nano, stamp); err != nil || e.Time.UTC().Format(time.RFC3339Nano) != stamp {
		return e, fmt.Errorf("%w: time %q", ErrFormat, stamp)
	}
	e.Time = e.Time.UTC()
	if len(e.Body) < 2 || e.Body[0] != '{' || e.Body[len(e.Body)-1] != '}' {
		return e, fmt.Errorf("%w: body is not a JSON object", ErrFormat)
	}
	return e, nil
}

// member takes what stands between two separators, leaving the second in rest.
func member(b []byte, from, to string) (value string, rest []byte, ok bool) {
	if !bytes.HasPrefix(b, []byte(from)) {
		return "", b, false
	}
	b = b[len(from):]
	i := bytes.Index(b, []byte(to))
	if i < 0 {
		return "", b, false
	}
	return string(b[:i]), b[i:], true
}
