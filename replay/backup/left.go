package backup

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"respect/replay/durable"
)

// LeftFile holds the documents of a change that could not be foreseen, as they were read back behind it: BSON documents one behind the other, in the order in which
// they were read. What each should be is in after.idx, whose hash is in the record.
const LeftFile = "read.bson.gz"

// Left finds what a change left of its documents. It is quick where they are asked for in the order in which they were read.
type Left struct {
	sums []string // by the number of the document in the plan; what is no hash says why there is none
	docs Documents
}

// OpenLeft opens it. after is the hash of after.idx that the record has; "" of a change that has none, of which nothing is known. Close it.
func OpenLeft(dir, after string) (*Left, error) {
	l := &Left{docs: Documents{dir: dir, name: LeftFile}}
	if after == "" {
		return l, nil
	}
	b, err := durable.ReadFile(filepath.Join(dir, "after.idx"))
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil // pruned, or the change was not carried out here
	}
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != after {
		return nil, fmt.Errorf("after.idx has hash %x, the record says %s: it was changed", sum, after)
	}
	l.sums = strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	return l, nil
}

// Line is what after.idx says of document n of the plan; known is false if it says nothing. Its format is guard/plan's.
func (l *Left) Line(n int64) (line string, known bool) {
	if n < 0 || n >= int64(len(l.sums)) {
		return "", false
	}
	return l.sums[n], true
}

// Sum is the hash of what the change left of document n of its plan, in hex; "" if that is not known.
func (l *Left) Sum(n int64) string {
	if n < 0 || n >= int64(len(l.sums)) || len(l.sums[n]) != 2*sha256.Size {
		return ""
	}
	return l.sums[n]
}

// Document is what the change left of document n of its plan; nil if only its hash is known, or nothing.
func (l *Left) Document(n int64) ([]byte, error) {
	if sum := l.Sum(n); sum != "" {
		return l.docs.Find(sum)
	}
	return nil, nil
}

// Close closes the file.
func (l *Left) Close() error { return l.docs.Close() }

// ForeseenFile holds documents as the server foresaw them while a change was planned, where that cannot be computed again; in the order of the plan, which has their
// hashes.
const ForeseenFile = "foreseen.bson.gz"

// Foreseen opens it. Close it.
func Foreseen(dir string) *Documents { return &Documents{dir: dir, name: ForeseenFile} }

// ReadBack opens the LeftFile of a change for who knows the hash of a document. Close it.
func ReadBack(dir string) *Documents { return &Documents{dir: dir, name: LeftFile} }

// Documents are BSON documents one behind the other in a compressed file, which are found by their hashes. It is quick where they are asked for in their order.
type Documents struct {
	dir, name string
	f         *os.File
	r         *bufio.Reader
}

// Find is the document with this SHA-256, in hex; nil if there is none.
func (d *Documents) Find(sum string) ([]byte, error) {
	for range 2 { // from where the last one was found, then from the begin
		if d.r == nil {
			if err := d.open(); err != nil {
				return nil, err
			}
			if d.r == nil {
				return nil, nil
			}
		}
		doc, err := d.scan(sum)
		if doc != nil || err != nil {
			return doc, err
		}
		if err := d.Close(); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (d *Documents) open() error {
	f, err := durable.Open(filepath.Join(d.dir, d.name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", d.name, err), f.Close())
	}
	d.f, d.r = f, bufio.NewReaderSize(z, 64<<10)
	return nil
}

// scan reads on to the document with a hash; nil if there is none. A file that ends in the middle is that of a change that was cut off.
func (d *Documents) scan(want string) ([]byte, error) {
	for {
		head, err := d.r.Peek(4)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.name, err)
		}
		const largest = 64 << 20
		n := binary.LittleEndian.Uint32(head)
		if n < 5 || n > largest {
			return nil, fmt.Errorf("%s: a document of %d bytes", d.name, n)
		}
		doc := make([]byte, n)
		if _, err := io.ReadFull(d.r, doc); err != nil {
			return nil, nil
		}
		if sum := sha256.Sum256(doc); hex.EncodeToString(sum[:]) == want {
			return doc, nil
		}
	}
}

// Close closes the file.
func (d *Documents) Close() error {
	if d.f == nil {
		return nil
	}
	err := d.f.Close()
	d.f, d.r = nil, nil
	return err
}
