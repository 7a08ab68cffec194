package wiretest

import (
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// What a replica set remembers of retryable writes, for all its members, as it replicates config.transactions: per session the highest transaction
// number and what each statement under it did. A statement's number is its place in the command. A statement that changed nothing leaves no trace in the
// oplog and so none here: sent again, it is tried again.
//
// Sources: https://github.com/mongodb/specifications/blob/master/source/retryable-writes/retryable-writes.md,
// https://www.mongodb.com/docs/manual/core/retryable-writes/ and, for what it does not say, the server's own tests and source:
// jstests/replsets/*retryable*.js, src/mongo/db/ops/write_ops_exec.cpp, write_ops_retryability.cpp, src/mongo/db/initialize_operation_session_info.cpp,
// src/mongo/db/transaction/transaction_participant.cpp.

// history is one session's.
type history struct {
	txn  int64
	done map[int32]result
}

// sessions are histories by the session's id.
type sessions map[string]*history

// retryable are the commands that may carry a transaction number outside of a transaction.
var retryable = map[string]bool{"insert": true, "update": true, "delete": true, "findAndModify": true, "findandmodify": true, "bulkWrite": true}

// transaction is the session and the transaction number that a command carries, or why it may not. has is false without a number.
func transaction(cmd Command, member bool) (session string, txn int64, has bool, err *failure) {
	number, lerr := cmd.Doc.LookupErr("txnNumber")
	if lerr != nil {
		return "", 0, false, nil
	}
	_, id, ok := cmd.Doc.Lookup("lsid", "id").BinaryOK()
	txn, isLong := number.Int64OK()
	switch _, auto := cmd.Doc.Lookup("autocommit").BooleanOK(); {
	case !isLong:
		err = &failure{14, "TypeMismatch", fmt.Sprintf("BSON field 'OperationSessionInfo.txnNumber' is the wrong type '%s', expected type 'long'", number.Type)}
	case !ok:
		err = &failure{72, "InvalidOptions", "Transaction number requires a session ID to also be specified"}
	case !member:
		err = &failure{20, "IllegalOperation", "Transaction numbers are only allowed on a replica set member or mongos"}
	case txn < 0:
		err = &failure{72, "InvalidOptions", "Transaction number cannot be negative"}
	case !auto && !retryable[cmd.Name]:
		err = &failure{50768, "NotARetryableWriteCommand", "txnNumber may only be provided for multi-document transactions and retryable write commands. autocommit:false was not provided, and " + cmd.Name + " is not a retryable write command."}
	case auto:
		return "", 0, false, nil // a transaction; the server behind will say that it has none
	}
	return string(id), txn, true, err
}

// begin is the history of a session under a transaction number, or why that number may not be used any more.
func (s sessions) begin(session string, txn int64) (*history, *failure) {
	h := s[session]
	switch {
	case h == nil || h.txn < txn:
		h = &history{txn: txn, done: map[int32]result{}}
		s[session] = h
	case h.txn > txn:
		return nil, &failure{225, "TransactionTooOld", fmt.Sprintf("Retryable write with txnNumber %d is prohibited on session %x because a newer retryable write with txnNumber %d has already started on this session.", txn, session, h.txn)}
	}
	return h, nil
}

// did is what a statement did when it was sent before. h may be nil.
func (h *history) did(statement int32) (result, bool) {
	if h == nil {
		return result{}, false
	}
	r, ok := h.done[statement]
	return r, ok
}

// remember keeps what a statement did, if it left anything to remember. h may be nil.
func (h *history) remember(statement int32, r result) {
	if h != nil && r.err == nil && r.changed {
		h.done[statement] = r
	}
}

// forbidden is why a statement may not be retryable; nil if it may.
func forbidden(statement bson.Raw) *failure {
	if multi, _ := statement.Lookup("multi").BooleanOK(); multi {
		return &failure{72, "InvalidOptions", "Cannot use (or request) retryable writes with multi=true"}
	}
	if limit, ok := statement.Lookup("limit").AsInt64OK(); ok && limit == 0 {
		return &failure{72, "InvalidOptions", "Cannot use (or request) retryable writes with limit=0"}
	}
	return nil
}

// resultOfFind is what a findAndModify did.
func resultOfFind(reply bson.Raw) result {
	n, _ := reply.Lookup("lastErrorObject", "n").AsInt64OK()
	return result{n: n, changed: n > 0 && succeeded(reply), reply: reply}
}

// retried is a findAndModify's answer when it is sent again.
func retried(reply bson.Raw) bson.Raw {
	return with(reply, bson.D{{Key: "retriedStmtId", Value: int32(0)}})
}

func succeeded(reply bson.Raw) bool {
	ok, _ := reply.Lookup("ok").AsFloat64OK()
	return ok == 1
}
