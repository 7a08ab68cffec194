package plan

import (
	"hash/maphash"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// IDHash stands for an _id in memory: 128 bits under two seeds of this process, so that nobody can choose _ids that fall together. Two _ids that the
// server takes as one, such as 1, Long(1) and 1.0, have one hash.
type IDHash [2]uint64

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// KeyOf is the hash of an _id.
func KeyOf(id bson.RawValue) IDHash {
	var buf [64]byte
	b := buf[:0]
	switch n, whole := wholeNumber(id); {
	case whole:
		b = append(b, 'n', byte(n), byte(n>>8), byte(n>>16), byte(n>>24), byte(n>>32), byte(n>>40), byte(n>>48), byte(n>>56))
	default:
		b = append(append(b, byte(id.Type)), id.Value...)
	}
	return IDHash{maphash.Bytes(seeds[0], b), maphash.Bytes(seeds[1], b)}
}

// wholeNumber is the value of a number that each numeric type can hold.
func wholeNumber(v bson.RawValue) (int64, bool) {
	switch v.Type {
	case bson.TypeInt32:
		return int64(v.Int32()), true
	case bson.TypeInt64:
		n := v.Int64()
		return n, n < 1<<53 && n > -(1<<53)
	case bson.TypeDouble:
		f := v.Double()
		return int64(f), f == float64(int64(f)) && f < 1<<53 && f > -(1<<53)
	}
	return 0, false
}

// idSet are the _ids that a plan has in one namespace, each with the number of the statement that took it. About 40 bytes of memory for each.
type idSet map[IDHash]uint32

func (s idSet) has(id bson.RawValue) bool { _, ok := s[KeyOf(id)]; return ok }
