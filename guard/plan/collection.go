package plan

import (
	"errors"
	"fmt"
	"path/filepath"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/replay"
	"respect/replay/durable"
)

// CollectionBackup copies one whole collection into before/ while a change is carried out.
type CollectionBackup struct {
	sp   *spool
	fs   durable.FS
	dir  string
	step Step
	n    int64
	size int64
}

// NewCollectionBackup begins the backup of the collection that a step drops.
func (p *Plan) NewCollectionBackup(fs durable.FS, s Step) (*CollectionBackup, error) {
	sp, err := newSpool(fs, p.dir)
	if err != nil {
		return nil, err
	}
	if _, err := sp.file(filepath.Join("before", imageName(s.NS))); err != nil {
		return nil, err // also of an empty collection there is a file
	}
	info := &collectionInfo{options: s.Options, uuid: s.UUID}
	for _, spec := range s.Specs {
		info.indexes = append(info.indexes, spec)
	}
	b := &CollectionBackup{sp: sp, fs: fs, dir: p.dir, step: s}
	if err := writeMetadata(sp, s.NS, info); err != nil {
		return nil, errors.Join(err, b.Discard())
	}
	return b, nil
}

// Discard removes the files of a backup that was not finished.
func (b *CollectionBackup) Discard() error {
	before := filepath.Join(b.dir, "before")
	return errors.Join(b.sp.closeAll(), b.fs.RemoveAll(filepath.Join(before, imageName(b.step.NS))), b.fs.RemoveAll(filepath.Join(before, metadataName(b.step.NS))))
}

// Add writes one document.
func (b *CollectionBackup) Add(doc bson.Raw) error {
	b.n++
	b.size += int64(len(doc))
	_, err := b.sp.append(filepath.Join("before", imageName(b.step.NS)), doc)
	return err
}

// Seal makes the backup durable, reads it back and compares. It must be called also after an error, to close the files.
func (b *CollectionBackup) Seal(change string) (replay.Saved, error) {
	out := replay.Saved{Change: change, Documents: b.n, Bytes: b.size}
	if err := b.sp.sync(); err != nil {
		return out, errors.Join(err, b.sp.closeAll())
	}
	files, err := b.sp.readBack()
	out.Files = files
	if err != nil {
		return out, fmt.Errorf("read the backup back: %w", err)
	}
	return out, nil
}
