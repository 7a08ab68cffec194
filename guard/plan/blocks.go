package plan

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// What is executed is what was sealed. A plan file is read several times, a batch is sent before its end is reached, and its digest is known only there. So the
// file has a hash for each of its blocks in memory, taken when its digest was: a block that is read later is compared before a line of it is believed.

// sumBlock is how many bytes of a plan file have one hash.
const sumBlock = 64 << 10

// blockSums are the SHA-256 of a file's blocks, and its length.
type blockSums struct {
	sums [][sha256.Size]byte
	size int64
}

// blockHasher takes the sums of what is written to it. The zero value is ready.
type blockHasher struct {
	out blockSums
	buf []byte
}

// Write implements io.Writer. It never fails.
func (b *blockHasher) Write(p []byte) (int, error) {
	n := len(p)
	b.out.size += int64(n)
	for len(p) > 0 {
		k := min(sumBlock-len(b.buf), len(p))
		b.buf, p = append(b.buf, p[:k]...), p[k:]
		if len(b.buf) == sumBlock {
			b.out.sums, b.buf = append(b.out.sums, sha256.Sum256(b.buf)), b.buf[:0]
		}
	}
	return n, nil
}

// sums are those of all that was written. Nothing may be written after it.
func (b *blockHasher) sums() blockSums {
	if len(b.buf) > 0 {
		b.out.sums, b.buf = append(b.out.sums, sha256.Sum256(b.buf)), nil
	}
	return b.out
}

// errAltered is the error of a plan file that is not as it was.
var errAltered = errors.New("the plan file was changed since it was sealed")

// blockReader reads a file whose sums are known, and gives no byte of a block that is not as it was.
type blockReader struct {
	r    io.Reader
	sums blockSums
	n    int // blocks that were read
	buf  [sumBlock]byte
	left []byte // of the block that was read last
}

// Read implements io.Reader.
func (b *blockReader) Read(p []byte) (int, error) {
	if len(b.left) == 0 {
		if err := b.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.left)
	b.left = b.left[n:]
	return n, nil
}

func (b *blockReader) next() error {
	want := min(b.sums.size-int64(b.n)*sumBlock, sumBlock)
	if want <= 0 {
		if n, err := b.r.Read(b.buf[:1]); n > 0 || !errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: it has more than %d bytes", errAltered, b.sums.size)
		}
		return io.EOF
	}
	if _, err := io.ReadFull(b.r, b.buf[:want]); err != nil {
		return fmt.Errorf("%w: %w", errAltered, err)
	}
	if sha256.Sum256(b.buf[:want]) != b.sums.sums[b.n] {
		return fmt.Errorf("%w: between bytes %d and %d", errAltered, int64(b.n)*sumBlock, int64(b.n)*sumBlock+want)
	}
	b.n++
	b.left = b.buf[:want]
	return nil
}
