//go:build !respect_no_embedded && !race

package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/FerretDB/FerretDB/ferretdb"
	_ "modernc.org/sqlite" // the driver that FerretDB uses, under the name "sqlite"

	"respect/replay/durable"
)

// Available says whether this build contains the server.
const Available = true

// Server is a running server. Close it before the process ends.
type Server struct {
	address string
	dir     string
	lock    *durable.Lock
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// Start starts a server and returns when it listens.
func Start(o Options) (*Server, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("embedded server: %w", err)
	}
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	// FerretDB reports a busy port only in its log, so the address is tried here first.
	probe, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("embedded server: %w", err)
	}
	address := probe.Addr().String()
	if err := probe.Close(); err != nil {
		return nil, fmt.Errorf("embedded server: %w", err)
	}
	lock, err := durable.Acquire(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("embedded server: data directory %s: %w", dir, err)
	}
	handler := slog.DiscardHandler
	if o.Logs != nil {
		handler = slog.NewTextHandler(o.Logs, nil)
	}
	f, err := ferretdb.New(&ferretdb.Config{
		Handler:   "sqlite",
		SQLiteURL: "file:" + dir + "/",
		Listener:  ferretdb.ListenerConfig{TCP: address},
		Logger:    slog.New(handler),
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("embedded server: %w", err), lock.Release())
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{address: address, dir: dir, lock: lock, stop: stop}
	s.done.Go(func() { _ = f.Run(ctx) }) // always nil; ends when Close cancels ctx
	s.done.Go(func() { s.keepIndexing(ctx) })
	return s, nil
}

// Address is the host and port it listens on.
func (s *Server) Address() string { return s.address }

// URI is a connection string for it, without a database.
func (s *Server) URI() string { return "mongodb://" + s.address + "/" }

// Close stops the server and waits until its files are closed.
func (s *Server) Close() error {
	s.stop()
	s.done.Wait()
	return s.lock.Release()
}

// keepIndexing gives new collections the missing index, until ctx ends.
func (s *Server) keepIndexing(ctx context.Context) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = s.IndexIDs(ctx) // a busy database is tried again at the next tick; without the index it is slower, not wrong
		}
	}
}

// IndexIDs adds to every collection the index that FerretDB's own update statement looks for and does not
// create: it searches by _ferretdb_sjson->'$._id', while its unique index on _id is on another expression, so that each
// updated document costs a scan of the table.
func (s *Server) IndexIDs(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(s.dir, "*.sqlite"))
	if err != nil {
		return fmt.Errorf("embedded server: %w", err)
	}
	for _, f := range files {
		if err := indexIDs(ctx, f); err != nil {
			return fmt.Errorf("embedded server: index %s: %w", filepath.Base(f), err)
		}
	}
	return nil
}

func indexIDs(ctx context.Context, file string) (err error) {
	if _, err := os.Stat(file); err != nil {
		return nil // dropped meanwhile; opening it would create it again
	}
	db, err := sql.Open("sqlite", "file:"+file+"?mode=rw&_pragma=busy_timeout(1000)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tables, err := column(ctx, db, `SELECT table_name FROM _ferretdb_collections
		WHERE table_name NOT IN (SELECT tbl_name FROM sqlite_master WHERE type = 'index' AND name LIKE 'respect_id_%')`)
	if err != nil {
		return err
	}
	for _, t := range tables {
		quoted, name := strconv.Quote(t), strconv.Quote("respect_id_"+t)
		if quoted != `"`+t+`"` {
			continue // FerretDB writes such names in its own way into SQLite; they stay without this index
		}
		if _, err := db.ExecContext(ctx, "CREATE INDEX IF NOT EXISTS "+name+" ON "+quoted+` (_ferretdb_sjson->'$._id')`); err != nil {
			return err
		}
	}
	return nil
}

func column(ctx context.Context, db *sql.DB, query string) (out []string, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}
