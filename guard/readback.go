package guard

import (
	"errors"
	"path/filepath"

	"github.com/klauspost/compress/gzip"
	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/replay/backup"
	"respect/replay/durable"
)

// readings writes down the documents of a change that could not be foreseen, as they were read back: who reviews it sees what became of them, and not a hash. They
// are believed by their hashes in after.idx; so this file is not in the record itself, and a change is whole without it.
type readings struct {
	f     durable.File
	z     *gzip.Writer
	bytes int64
	ended bool // nothing more is kept
}

const (
	// mostReadings is how many bytes of documents are kept.
	mostReadings = 512 << 20
	// leftFree is what must stay free on the disk: the record itself needs room.
	leftFree = 256 << 20
)

// keepReading writes down one document. What fails costs a look later, and not the change.
func (x *execution) keepReading(doc bson.Raw) {
	r := &x.readings
	if r.ended {
		return
	}
	if err := r.add(x, doc); err != nil {
		r.ended = true
		x.warn("what became of documents that could not be foreseen is not all written down, only its hashes: %v", err)
	}
}

var errNoRoom = errors.New("there is too much of it, or too little room on the disk")

func (r *readings) add(x *execution, doc bson.Raw) error {
	if r.f == nil {
		free, err := durable.Free(x.gate.cfg.StateDir)
		if err != nil || free < leftFree {
			return errors.Join(errNoRoom, err)
		}
		if r.f, err = x.gate.cfg.FS.Create(filepath.Join(x.plan.Dir(), backup.LeftFile)); err != nil {
			return err
		}
		r.z = gzip.NewWriter(r.f)
	}
	if r.bytes += int64(len(doc)); r.bytes > mostReadings {
		return errNoRoom
	}
	_, err := r.z.Write(doc)
	return err
}

// closeReadings makes the file durable.
func (x *execution) closeReadings() {
	r := &x.readings
	if r.f == nil {
		return
	}
	if err := errors.Join(r.z.Close(), r.f.Sync(), r.f.Close()); err != nil {
		x.warn("what became of documents that could not be foreseen is not all written down, only its hashes: %v", err)
	}
}
