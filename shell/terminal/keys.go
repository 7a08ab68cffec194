package terminal

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// Kind of a token.
type Kind uint8

// The kinds.
const (
	Rune    Kind = iota // a character
	Control             // a control character: Ctrl-C is 0x03, Enter 0x0d, Backspace 0x7f
	Named               // an arrow and its like; Seq is the sequence that go-prompt knows it by
	Paste               // a bracketed paste, whole
	Unknown             // an escape sequence that means nothing here
)

// Token is one key, or one paste.
type Token struct {
	Kind Kind
	Rune rune   // of Rune and Control
	Seq  []byte // of Named
	Text string // of Paste
}

// Control characters.
const (
	CtrlC     = 0x03
	CtrlD     = 0x04
	Tab       = 0x09
	CtrlR     = 0x12
	CtrlU     = 0x15
	CtrlW     = 0x17
	Escape    = 0x1b
	Backspace = 0x7f
)

// tokenizer cuts the bytes of a terminal into keys, whatever reads they arrive in.
type tokenizer struct {
	buf     []byte
	pasting bool
	paste   []byte
}

var (
	pasteBegin = []byte("\x1b[200~")
	pasteEnd   = []byte("\x1b[201~")
)

// maxPaste bounds a paste; what is longer is cut, and told as Unknown.
const maxPaste = 4 << 20

// feed adds bytes and returns the tokens that are complete.
func (t *tokenizer) feed(b []byte) []Token {
	t.buf = append(t.buf, b...)
	var out []Token
	for {
		tok, n := t.next()
		if n == 0 {
			return out
		}
		t.buf = t.buf[n:]
		if tok != nil {
			out = append(out, *tok)
		}
	}
}

// waiting says whether a sequence has begun and not ended. A lone Escape looks like one until flush.
func (t *tokenizer) waiting() bool { return len(t.buf) > 0 || t.pasting }

// flush gives up waiting: a lone Escape is the Escape key, an unfinished sequence is unknown.
func (t *tokenizer) flush() []Token {
	if len(t.buf) == 0 {
		return nil
	}
	b := t.buf
	t.buf = nil
	if len(b) == 1 && b[0] == Escape {
		return []Token{{Kind: Control, Rune: Escape}}
	}
	return []Token{{Kind: Unknown}}
}

// next reads one token; n == 0 means that more bytes are wanted.
func (t *tokenizer) next() (*Token, int) {
	b := t.buf
	switch {
	case len(b) == 0:
		return nil, 0
	case t.pasting:
		return t.nextPasted()
	case b[0] == Escape:
		return t.nextSequence()
	case b[0] < 0x20 || b[0] == Backspace:
		return &Token{Kind: Control, Rune: rune(b[0])}, 1
	}
	if !utf8.FullRune(b) && len(b) < utf8.UTFMax {
		return nil, 0
	}
	r, n := utf8.DecodeRune(b)
	if r == utf8.RuneError && n == 1 || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) {
		return &Token{Kind: Unknown}, n // invisible text is not typed: it is refused, not dropped in silence
	}
	return &Token{Kind: Rune, Rune: r}, n
}

func (t *tokenizer) nextPasted() (*Token, int) {
	if i := bytes.Index(t.buf, pasteEnd); i >= 0 {
		text := append(t.paste, t.buf[:i]...)
		t.pasting, t.paste = false, nil
		return &Token{Kind: Paste, Text: string(text)}, i + len(pasteEnd)
	}
	keep := len(pasteEnd) - 1 // the end marker may be cut in two by a read
	if len(t.buf) <= keep {
		return nil, 0
	}
	n := len(t.buf) - keep
	if len(t.paste) < maxPaste {
		t.paste = append(t.paste, t.buf[:n]...)
	}
	return nil, n
}

// named maps what terminals send for a key to the one sequence that go-prompt knows.
var named = map[string]string{
	"[A": "\x1b[A", "OA": "\x1b[A", "[B": "\x1b[B", "OB": "\x1b[B", "[C": "\x1b[C", "OC": "\x1b[C", "[D": "\x1b[D", "OD": "\x1b[D",
	"[H": "\x1b[H", "OH": "\x1b[H", "[1~": "\x1b[H", "[7~": "\x1b[H", "[F": "\x05", "OF": "\x05", "[4~": "\x05", "[8~": "\x05",
	"[3~": "\x1b[3~", "[Z": "\x1b[Z", "[5~": "\x1b[5~", "[6~": "\x1b[6~",
	"[1;5C": "\x1b[1;5C", "[1;5D": "\x1b[1;5D", "[1;3C": "\x1b[1;5C", "[1;3D": "\x1b[1;5D", "f": "\x1b[1;5C", "b": "\x1b[1;5D",
}

// nextSequence reads an escape sequence: CSI, SS3, or Alt with a key.
// Source: ECMA-48, 5.4; https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
func (t *tokenizer) nextSequence() (*Token, int) {
	b := t.buf
	if len(b) < 2 {
		return nil, 0
	}
	if bytes.HasPrefix(b, pasteBegin) {
		t.pasting = true
		return nil, len(pasteBegin)
	}
	n := 2
	switch b[1] {
	case '[':
		for n < len(b) && b[n] >= 0x20 && b[n] <= 0x3f {
			n++
		}
		if n == len(b) {
			return nil, 0
		}
		if bytes.HasPrefix(pasteBegin, b) {
			return nil, 0
		}
		n++
	case 'O':
		if len(b) < 3 {
			return nil, 0
		}
		n = 3
	case Escape:
		return &Token{Kind: Control, Rune: Escape}, 1
	}
	if seq, ok := named[string(b[1:n])]; ok {
		if len(seq) == 1 {
			return &Token{Kind: Control, Rune: rune(seq[0])}, n
		}
		return &Token{Kind: Named, Seq: []byte(seq)}, n
	}
	return &Token{Kind: Unknown}, n
}

// input is what a terminal has sent and nobody has used yet.
type input struct {
	tok   tokenizer
	back  []byte   // read too early, and given back
	queue [][]byte // keys that wait for the editor's next line
}

// unread gives bytes back: they are what read returns next.
func (in *input) unread(b []byte) { in.back = append(in.back, b...) }

func (in *input) take() []byte {
	b := in.back
	in.back = nil
	return b
}

// forget drops all of it.
func (in *input) forget() { *in = input{} }
