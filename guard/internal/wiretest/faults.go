package wiretest

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Fault says what happens to one command. Values are made by this file's variables and functions, and can be put into one another:
//
//	Delay(time.Second, AfterStatements(3, Drop))
//
// They can be compared. Nil is None.
type Fault interface{ fault() fault }

// The faults that need no argument.
var (
	None      Fault = fault{}
	LoseReply Fault = fault{silence: closed}            // it is carried out, and the connection is closed before the answer
	Drop      Fault = fault{cut: true, silence: closed} // the connection is closed before it is carried out
	HangReply Fault = fault{silence: hung}              // it is carried out, and there is no answer until the client closes the connection
	Hang      Fault = fault{cut: true, silence: hung}   // it is not carried out, and there is no answer until the client closes the connection
	// WriteConcernTimeout: it is carried out, and a majority did not confirm in time. The name was WriteConcernFailed up to MongoDB 8.0.
	// Source: https://www.mongodb.com/docs/manual/reference/write-concern/#wtimeout
	WriteConcernTimeout = WriteConcernError(64, "WriteConcernTimeout", "waiting for replication timed out", bson.D{{Key: "wtimeout", Value: true}})
)

// fault is what a Fault means. The zero value is None.
type fault struct {
	delay   time.Duration // before it is carried out
	cut     bool          // only so many of its statements are carried out:
	after   int
	down    *StepDown // then the primary steps down, in a set
	err     *failure  // the answer instead of the server's
	silence silence   // what happens instead of an answer
	concern *bson.D   // an answer's writeConcernError
}

func (f fault) fault() fault { return f }

// silence is what happens instead of an answer.
type silence uint8

const (
	answered silence = iota
	closed           // the connection is closed
	hung             // nothing, until the client closes the connection
)

// failure is a command's error.
// Source: https://www.mongodb.com/docs/manual/reference/error-codes/
type failure struct {
	code          int32
	name, message string
}

// ServerError is a command that is not carried out and answered with an error.
func ServerError(code int32, name, message string) Fault {
	return fault{cut: true, err: &failure{code, name, message}}
}

// WriteConcernError is a command that is carried out, and whose answer says that its write concern was not met. info may be nil.
// Source: https://www.mongodb.com/docs/manual/reference/command/update/#output
func WriteConcernError(code int32, name, message string, info bson.D) Fault {
	concern := bson.D{{Key: "code", Value: code}, {Key: "codeName", Value: name}, {Key: "errmsg", Value: message}}
	if info != nil {
		concern = append(concern, bson.E{Key: "errInfo", Value: info})
	}
	return fault{concern: &concern}
}

// SteppingDown is a command that is not carried out because the primary steps down. In a server that is no member of a set it is an error.
func SteppingDown(how StepDown) Fault {
	f := fault{cut: true, down: &how, err: how.failure()}
	if how.NoAnswer {
		f.silence = closed
	}
	return f
}

// SteppingDownAfterwards is a command that is carried out, and the primary steps down while it waits for a majority: the answer has a writeConcernError,
// and nobody knows whether the write will stay.
func SteppingDownAfterwards(how StepDown) Fault {
	how.Code = 189
	e := how.failure()
	f := of(WriteConcernError(e.code, e.name, "Primary stepped down while waiting for replication", nil))
	f.down = &how
	if how.NoAnswer {
		f.silence = closed
	}
	return f
}

// Delay is a command that is carried out later, after which then happens. Other commands are carried out meanwhile, and it is carried out even if its
// client is gone by then, as in a server.
func Delay(d time.Duration, then Fault) Fault {
	f := of(then)
	f.delay += d
	return f
}

// AfterStatements lets the first k statements of a write be carried out, and then something happens to the rest, which is not carried out. A command
// with one statement or none is carried out whole if k is positive. If the write has no statement after the k-th, its answer is replaced all the same.
// What then happens must be an end: a fault that answers as a server does, like None, is taken for Drop.
//
// A server that inserts groups the statements, and a group is carried out whole or not at all; here each is on its own.
func AfterStatements(k int, then Fault) Fault {
	f := of(then)
	f.cut, f.after = true, k
	if f.err == nil && f.silence == answered {
		f.silence = closed
	}
	return f
}

// CloseAfterStatements is AfterStatements(k, Drop): the connection is lost in the middle of a batch.
func CloseAfterStatements(k int) Fault { return AfterStatements(k, Drop) }

func of(f Fault) fault {
	if f == nil {
		return fault{}
	}
	return f.fault()
}
