package environment

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Reader runs a command that reads. An error of a server that refuses must still be told from one that cannot be reached: Reachable.
type Reader interface {
	Read(ctx context.Context, db string, cmd bson.Raw) (bson.Raw, error)
	// Answered says whether an error of Read is the server's own refusal.
	Answered(err error) bool
}

// Observe collects what the server says of itself. The connection string's part of o must be filled in. An error means that the server
// could not be asked; what it refuses to tell is only missing.
func Observe(ctx context.Context, r Reader, o Observation) (Observation, error) {
	hello, err := ask(ctx, r, "admin", bson.D{{Key: "hello", Value: int32(1)}})
	if err != nil {
		return o, fmt.Errorf("ask the server who it is (hello): %w", err)
	}
	o.hello(hello)
	for _, step := range []func(context.Context, Reader, *Observation) error{observeHost, observeStatus, observeSet, observeCluster, observeUser, ObserveHome} {
		if err := step(ctx, r, &o); err != nil {
			return o, err
		}
	}
	o.Marker, err = ObserveMarker(ctx, r, "")
	if err != nil {
		return o, err
	}
	if Loopback(o.Address) {
		o.Local = local(o)
	}
	o.Own = ownAddresses()
	return o, nil
}

// ownAddresses are those of this machine's networks; none if it does not tell.
func ownAddresses() (out []string) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr().Unmap().WithZone("").String())
		}
	}
	return out
}

func observeHost(ctx context.Context, r Reader, o *Observation) error {
	reply, err := optional(ctx, r, "admin", bson.D{{Key: "hostInfo", Value: int32(1)}})
	o.Hostname = text(reply, "system", "hostname")
	return err
}

func observeStatus(ctx context.Context, r Reader, o *Observation) error {
	reply, err := optional(ctx, r, "admin", statusCommand())
	o.status(reply)
	return err
}

// observeSet asks for the id that a replica set gets when it is initiated, and that no other has.
// Source: https://www.mongodb.com/docs/manual/reference/replica-configuration/ (settings.replicaSetId)
func observeSet(ctx context.Context, r Reader, o *Observation) error {
	if o.SetName == "" {
		return nil
	}
	reply, err := optional(ctx, r, "admin", bson.D{{Key: "replSetGetConfig", Value: int32(1)}})
	if id, ok := reply.Lookup("config", "settings", "replicaSetId").ObjectIDOK(); ok {
		o.SetID = id.Hex()
	}
	return err
}

func observeCluster(ctx context.Context, r Reader, o *Observation) error {
	if !o.Mongos {
		return nil
	}
	reply, err := optional(ctx, r, "config", bson.D{{Key: "find", Value: "version"}, {Key: "limit", Value: int32(1)}, {Key: "singleBatch", Value: true}})
	if id, ok := firstDocument(reply).Lookup("clusterId").ObjectIDOK(); ok {
		o.Cluster = id.Hex()
	}
	return err
}

// ObserveHome asks for the UUIDs of two collections, by which the data files can be known again. FerretDB has no admin.system.version.
// Source: https://www.mongodb.com/docs/manual/reference/command/listCollections/ (info.uuid)
func ObserveHome(ctx context.Context, r Reader, o *Observation) error {
	for _, c := range []struct {
		db, name string
		into     *string
	}{{"respect", "environment", &o.Home}, {"admin", "system.version", &o.Data}} {
		reply, err := optional(ctx, r, c.db, bson.D{{Key: "listCollections", Value: int32(1)}, {Key: "filter", Value: bson.D{{Key: "name", Value: c.name}}}})
		if err != nil {
			return err
		}
		*c.into = ""
		if _, uuid, ok := firstDocument(reply).Lookup("info", "uuid").BinaryOK(); ok {
			*c.into = hex.EncodeToString(uuid)
		}
	}
	return nil
}

func observeUser(ctx context.Context, r Reader, o *Observation) error {
	reply, err := optional(ctx, r, "admin", bson.D{{Key: "connectionStatus", Value: int32(1)}})
	if arr, ok := reply.Lookup("authInfo", "authenticatedUsers").ArrayOK(); ok {
		if v, err := arr.IndexErr(0); err == nil {
			if doc, ok := v.DocumentOK(); ok && o.User == "" {
				o.User = text(doc, "user")
			}
		}
	}
	if arr, ok := reply.Lookup("authInfo", "authenticatedUserRoles").ArrayOK(); ok {
		o.Roles = roles(arr)
	}
	return err
}

// roles are the names of roles, each with its database.
func roles(arr bson.RawArray) (out []string) {
	values, err := arr.Values()
	if err != nil {
		return nil
	}
	for _, v := range values[:min(len(values), 100)] {
		if doc, ok := v.DocumentOK(); ok {
			out = append(out, text(doc, "role")+"@"+text(doc, "db"))
		}
	}
	return out
}

// ObserveMarker looks for the marker of the deployment, or, with db, for the one that speaks for a database.
func ObserveMarker(ctx context.Context, r Reader, db string) (Marker, error) {
	in, coll := "respect", "environment"
	if db != "" {
		in, coll = db, "respect.environment"
	}
	reply, err := ask(ctx, r, in, markerCommand(coll))
	switch {
	case err != nil && r.Answered(err):
		if db != "" {
			return Marker{}, nil // a user who may not read here is no evidence; the deployment's marker decides
		}
		return markerOf(nil, err, ""), nil
	case err != nil:
		return Marker{}, fmt.Errorf("read the environment marker: %w", err)
	}
	return markerOf(reply, nil, db), nil
}

func ask(ctx context.Context, r Reader, db string, cmd bson.D) (bson.Raw, error) {
	raw, err := bson.Marshal(cmd)
	if err != nil {
		return nil, err
	}
	return r.Read(ctx, db, raw)
}

// optional is ask for what a server may refuse to tell.
func optional(ctx context.Context, r Reader, db string, cmd bson.D) (bson.Raw, error) {
	reply, err := ask(ctx, r, db, cmd)
	if err != nil && r.Answered(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask the server who it is (%s): %w", cmd[0].Key, err)
	}
	return reply, nil
}

func firstDocument(reply bson.Raw) bson.Raw {
	arr, ok := reply.Lookup("cursor", "firstBatch").ArrayOK()
	if !ok {
		return nil
	}
	v, err := arr.IndexErr(0)
	if err != nil {
		return nil
	}
	doc, _ := v.DocumentOK()
	return doc
}

func text(doc bson.Raw, path ...string) string {
	s, _ := doc.Lookup(path...).StringValueOK()
	return s
}

// port of an address; 0 if it has none.
func port(address string) int {
	_, p, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(p)
	if err != nil {
		return 0
	}
	return n
}
