package player

import (
	"respect/replay/diff"
	"respect/replay/document"
)

// images are the lines of a document before and after, of an operation. Either may be nil.
func images(op string, before, after *Document) []diff.Line {
	switch {
	case before == nil && after == nil:
		return nil
	case after == nil && op == "update":
		return []diff.Line{whole(' ', before), {Parts: []diff.Part{{Text: "what it became is not known"}}}}
	case after == nil:
		return []diff.Line{whole('-', before)}
	case before == nil:
		return []diff.Line{whole('+', after)}
	case before.bson == nil || after.bson == nil:
		return []diff.Line{whole('-', before), whole('+', after)}
	}
	var out []diff.Line
	for _, c := range diff.Between(before.bson, after.bson) {
		out = append(out, c.Lines()...)
	}
	return out
}

// whole is all of a document, or its hash where nothing else was kept.
func whole(sign byte, d *Document) diff.Line {
	text := "SHA-256 " + d.SHA256
	if d.bson != nil {
		text = document.Value{Kind: document.Document, Data: d.bson}.String()
	}
	return diff.Line{Parts: []diff.Part{{Sign: sign, Text: string(sign) + " " + text}}}
}

func documentLines(d planDocument, sp *spools) []diff.Line {
	before, after := sp.images(d)
	return images(d.Op, before, after)
}
