package policy

import (
	"testing"

	"respect/guard/command"
	"respect/guard/environment"
)

func TestDecide(t *testing.T) {
	const (
		dev, stg, prod, unk = environment.Development, environment.Staging, environment.Production, environment.Unknown
	)
	for _, tt := range []struct {
		env  environment.Environment
		c    command.Class
		want Action
	}{
		{prod, command.Read, Run}, {unk, command.Read, Run}, {stg, command.Read, Run}, {dev, command.Read, Run},
		{prod, command.DocumentWrite, Confirm}, {unk, command.DocumentWrite, Confirm}, {stg, command.DocumentWrite, Backup}, {dev, command.DocumentWrite, Run},
		{prod, command.Schema, Confirm}, {unk, command.Schema, Confirm}, {stg, command.Schema, Confirm}, {dev, command.Schema, Run},
		{prod, command.Operations, Confirm}, {stg, command.Operations, Run},
		{prod, command.Security, Refuse}, {unk, command.Security, Refuse}, {stg, command.Security, Confirm}, {dev, command.Security, Run},
		{prod, command.Cluster, Refuse}, {prod, command.Server, Refuse}, {prod, command.Unknown, Refuse}, {unk, command.Unknown, Refuse},
		{stg, command.Unknown, Confirm},
		{prod, command.Class(99), Refuse}, {dev, command.Class(99), Refuse}, {environment.Environment(99), command.DocumentWrite, Refuse},
	} {
		v := Default().Decide(tt.env, tt.c)
		if v.Action != tt.want {
			t.Errorf("Decide(%v, %v) = %v, want %v", tt.env, tt.c, v.Action, tt.want)
		}
		if v.Why == "" {
			t.Errorf("Decide(%v, %v) has no reason", tt.env, tt.c)
		}
		if v.Guarded() != (tt.want != Run) {
			t.Errorf("Decide(%v, %v).Guarded() = %v", tt.env, tt.c, v.Guarded())
		}
	}
}

func TestSize(t *testing.T) {
	prod := environment.Production
	small := Default().Decide(prod, command.Schema)
	for _, tt := range []struct {
		env         environment.Environment
		c           command.Class
		docs, bytes int64
		want        Action
	}{
		{prod, command.Schema, LargeDocuments, LargeBytes, Confirm},
		{prod, command.Schema, LargeDocuments + 1, 0, Approve},
		{prod, command.Schema, 0, LargeBytes + 1, Approve},
		{environment.Unknown, command.Schema, LargeDocuments + 1, 0, Approve},
		{environment.Staging, command.Schema, LargeDocuments + 1, 0, Confirm},
		{prod, command.DocumentWrite, LargeDocuments + 1, 0, Confirm},
	} {
		if got := Default().Size(small, tt.env, tt.c, tt.docs, tt.bytes); got.Action != tt.want {
			t.Errorf("Size(%v, %v, %d documents, %d bytes) = %v, want %v", tt.env, tt.c, tt.docs, tt.bytes, got.Action, tt.want)
		}
	}
	if got := Default().Size(Verdict{}, prod, command.Schema, LargeDocuments+1, 0); got.Action != Refuse {
		t.Errorf("Size lowered a refusal to %v", got.Action)
	}
}

func TestTheZeroVerdictRefuses(t *testing.T) {
	var v Verdict
	if v.Action != Refuse || !v.Guarded() {
		t.Errorf("the zero verdict: %v", v.Action)
	}
}
