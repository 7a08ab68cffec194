//go:build !respect_no_embedded && !race

package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
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
	private string // directory of the socket
	front   *front
	lock    *durable.Lock
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// unfinished is a file in the data directory of a server that never let anybody in.
const unfinished = "unfinished"

// Start starts a server. It lets nobody in before Open: whoever connects to its address waits. Until then it is filled through Inside. A
// directory whose server ended before Open is emptied: what it held was not whole, and nobody has seen it.
func Start(o Options) (_ *Server, err error) {
	s := &Server{}
	if s.dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, fmt.Errorf("embedded server: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("embedded server: %w", err), s.remove())
		}
	}()
	if s.lock, err = durable.Acquire(filepath.Join(s.dir, "lock")); err != nil {
		return nil, fmt.Errorf("data directory %s: %w", s.dir, err)
	}
	if err := begin(s.dir); err != nil {
		return nil, err
	}
	if s.private, err = privateDir(); err != nil {
		return nil, err
	}
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, err
	}
	s.address = l.Addr().String()
	f, err := newFerretDB(s.dir, s.socket(), o.Logs)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.done.Go(func() { _ = f.Run(ctx) }) // always nil; ends when Close cancels ctx
	s.done.Go(func() { s.tend(ctx) })
	s.front = newFront(l, func() (net.Conn, error) { return net.Dial("unix", s.socket()) })
	return s, nil
}

func newFerretDB(dir, socket string, logs io.Writer) (*ferretdb.FerretDB, error) {
	handler := slog.DiscardHandler
	if logs != nil {
		handler = slog.NewTextHandler(logs, nil)
	}
	return ferretdb.New(&ferretdb.Config{
		Handler: "sqlite",
		// A crash of this process loses nothing so; what a power cut loses is sample data. Otherwise every write waits for the disk. Nor does one wait
		// for a checkpoint: FerretDB writes while it still reads, so that the log would never be empty after one, and each write would try again.
		SQLiteURL: "file:" + dir + "/?_pragma=synchronous(normal)&_pragma=wal_autocheckpoint(20000)",
		Listener:  ferretdb.ListenerConfig{Unix: socket},
		Logger:    slog.New(handler),
	})
}

// begin empties a directory that is not finished, and says of an empty one that it is not.
func begin(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.sqlite*"))
	if err != nil {
		return err
	}
	note := filepath.Join(dir, unfinished)
	if _, err := os.Stat(note); err == nil {
		for _, f := range files {
			if err := os.Remove(f); err != nil {
				return err
			}
		}
		files = nil
	}
	if len(files) > 0 {
		return nil
	}
	return os.WriteFile(note, nil, 0o600)
}

// privateDir is a directory that only this user can enter, with a name that leaves room for a socket's: the path of one has 104 bytes at most.
func privateDir() (string, error) {
	const room = 80
	dir, err := os.MkdirTemp("", "respect-")
	if err != nil || len(dir) <= room {
		return dir, err
	}
	if err := os.Remove(dir); err != nil {
		return "", err
	}
	return os.MkdirTemp("/tmp", "respect-")
}

// socket is where FerretDB listens. The driver takes for a socket what ends in these letters.
func (s *Server) socket() string { return filepath.Join(s.private, "ferretdb.sock") }

// Open lets everybody in.
func (s *Server) Open() error {
	if err := os.Remove(filepath.Join(s.dir, unfinished)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("embedded server: %w", err)
	}
	s.front.open()
	return nil
}

// Address is the host and port it listens on.
func (s *Server) Address() string { return s.address }

// URI is a connection string for it, without a database.
func (s *Server) URI() string { return "mongodb://" + s.address + "/" }

// Inside is a connection string that leads past the door that Open opens. Only this user can use it.
func (s *Server) Inside() string { return "mongodb://" + url.PathEscape(s.socket()) + "/" }

// Close stops the server and waits until its files are closed.
func (s *Server) Close() error {
	s.front.close()
	s.stop()
	s.done.Wait()
	return s.remove()
}

// remove takes away what a server has outside of its data.
func (s *Server) remove() (err error) {
	if s.private != "" {
		err = os.RemoveAll(s.private)
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Release())
	}
	return err
}

// tend gives new collections the missing index, and empties SQLite's logs, until ctx ends.
func (s *Server) tend(ctx context.Context) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			// A busy database is tried again at the next tick; meanwhile it is slower, not wrong.
			_ = s.eachFile(ctx, func(ctx context.Context, db *sql.DB) error {
				_, err := db.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
				return errors.Join(err, indexIDs(ctx, db))
			})
		}
	}
}

// IndexIDs adds to every collection the index that FerretDB's own update statement looks for and does not
// create: it searches by _ferretdb_sjson->'$._id', while its unique index on _id is on another expression, so that each
// updated document costs a scan of the table.
func (s *Server) IndexIDs(ctx context.Context) error {
	if err := s.eachFile(ctx, indexIDs); err != nil {
		return fmt.Errorf("embedded server: %w", err)
	}
	return nil
}

// eachFile does something on a connection of its own to each of SQLite's files.
func (s *Server) eachFile(ctx context.Context, do func(context.Context, *sql.DB) error) error {
	files, err := filepath.Glob(filepath.Join(s.dir, "*.sqlite"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := onFile(ctx, f, do); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(f), err)
		}
	}
	return nil
}

func onFile(ctx context.Context, file string, do func(context.Context, *sql.DB) error) (err error) {
	if _, err := os.Stat(file); err != nil {
		return nil // dropped meanwhile; opening it would create it again
	}
	db, err := sql.Open("sqlite", "file:"+file+"?mode=rw&_pragma=busy_timeout(1000)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return do(ctx, db)
}

func indexIDs(ctx context.Context, db *sql.DB) error {
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
