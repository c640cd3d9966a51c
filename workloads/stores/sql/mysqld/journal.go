package mysqld

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"sync/atomic"

	"github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/mysql_db"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/stores/sql/mysqld/engine"
)

// The files of the data directory. The snapshot holds everything up to a moment and the log what was committed after it;
// both are JSON, one record per line.
const (
	snapshotFile   = "ibdata.json"
	logFile        = "binlog.json"
	privilegesFile = "mysql.user"
	// compactAt is the size of the log in bytes at which a new snapshot is taken.
	compactAt = 16 << 20
)

// journal keeps the data directory.
type journal struct {
	instance *instance
	dir      string
	// ctx is what values are written with; commits come one at a time.
	ctx *sql.Context

	mu   sync.Mutex
	log  *program.File
	size int64
	// stale says that a snapshot is due: definitions changed, which the log does not hold, or the log is long.
	stale atomic.Bool
}

var (
	_ engine.Journal              = (*journal)(nil)
	_ mysql_db.MySQLDbPersistence = (*journal)(nil)
)

func newJournal(i *instance, dir string) *journal {
	return &journal{instance: i, dir: dir, ctx: sql.NewEmptyContext()}
}

func (j *journal) path(name string) string { return path.Join(j.dir, name) }

// Persist implements mysql_db.MySQLDbPersistence: users and grants.
func (j *journal) Persist(_ *sql.Context, data []byte) error {
	return j.replace(privilegesFile, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// replace writes a file anew; it is either the old one or the new one, whatever happens.
func (j *journal) replace(name string, write func(w io.Writer) error) error {
	files := j.instance.sys.Files
	if err := files.MkdirAll(j.dir, 0o750); err != nil {
		return err
	}
	temporary := j.path(name + ".new")
	f, err := files.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	if err := errors.Join(write(w), w.Flush(), f.Close()); err != nil {
		return err
	}
	return files.Rename(temporary, j.path(name))
}

// Commit implements engine.Journal.
func (j *journal) Commit(changes []engine.Change, definitions bool) error {
	if definitions {
		// The snapshot that follows, before the client gets its answer, holds the changes as well.
		j.stale.Store(true)
		return nil
	}
	r := record{Changes: make([]change, len(changes))}
	for i, c := range changes {
		row, err := encodeRow(j.ctx, c.Schema, c.Row)
		if err != nil {
			return err
		}
		r.Changes[i] = change{Database: c.Database, Table: c.Table, Remove: !c.Insert, ID: c.RowID, Auto: c.AutoIncrement, Row: row}
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.log == nil {
		return errors.New("the log is closed")
	}
	n, err := j.log.Write(append(line, '\n'))
	j.size += int64(n)
	if err == nil && j.size > compactAt {
		j.stale.Store(true)
	}
	return err
}

// compact takes a snapshot when one is due. The caller does not hold the store's lock.
func (j *journal) compact() error {
	if !j.stale.Load() {
		return nil
	}
	return j.instance.store.Exclusive(func() error {
		if !j.stale.Load() {
			return nil
		}
		return j.snapshot()
	})
}

// snapshot writes everything down and begins a new log. Nobody may write meanwhile.
func (j *journal) snapshot() error {
	c := j.instance.context(context.Background(), "")
	err := j.replace(snapshotFile, func(w io.Writer) error {
		out := json.NewEncoder(w)
		out.SetEscapeHTML(false)
		names, _ := j.instance.store.Databases()
		for _, name := range names {
			if err := j.define(c, out, "", "SHOW CREATE DATABASE "+quoteName(name)); err != nil {
				return err
			}
		}
		for _, t := range j.instance.store.Tables() {
			if err := j.define(c, out, t.Database, "SHOW CREATE TABLE "+quoteName(t.Database)+"."+quoteName(t.Name)); err != nil {
				return err
			}
			err := t.Rows(func(id uint64, row sql.Row) error {
				values, err := encodeRow(j.ctx, t.Schema, row)
				if err != nil {
					return err
				}
				return out.Encode(record{Changes: []change{{Database: t.Database, Table: t.Name, ID: id, Auto: t.AutoIncrement, Row: values}}})
			})
			if err != nil {
				return err
			}
		}
		for _, d := range j.instance.store.Definitions() {
			if err := out.Encode(record{Database: d.Database, Define: d.Statement}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.log != nil {
		if err := j.log.Close(); err != nil {
			return fmt.Errorf("close log: %w", err)
		}
	}
	j.log, err = j.instance.sys.Files.OpenFile(j.path(logFile), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("begin log: %w", err)
	}
	j.size = 0
	j.stale.Store(false)
	return nil
}

// define writes the statement that a SHOW CREATE answers.
func (j *journal) define(c *sql.Context, out *json.Encoder, db, show string) error {
	rows, err := j.instance.query(c, show)
	if err != nil {
		return err
	}
	if len(rows) != 1 || len(rows[0]) < 2 {
		return fmt.Errorf("%s: no answer", show)
	}
	statement, ok := rows[0][1].(string)
	if !ok {
		return fmt.Errorf("%s: answer is a %T", show, rows[0][1])
	}
	return out.Encode(record{Database: db, Define: statement})
}

// load reads the data directory; false means that it is empty.
func (j *journal) load(ctx context.Context) (bool, error) {
	privileges, err := program.ReadFile(j.instance.sys.Files, j.path(privilegesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if _, err := j.instance.sys.Files.Stat(j.path(snapshotFile)); errors.Is(err, fs.ErrNotExist) {
		// A first start that was cut short: it is begun again.
		return false, nil
	}
	c := j.instance.context(ctx, "")
	if err := j.instance.engine.Analyzer.Catalog.MySQLDb.LoadData(c, privileges); err != nil {
		return false, fmt.Errorf("read privileges: %w", err)
	}
	if err := j.read(ctx, snapshotFile, false); err != nil {
		return false, err
	}
	return true, j.read(ctx, logFile, true)
}

// read applies the records of a file. The last line of a log may be cut: its transaction was never answered.
func (j *journal) read(ctx context.Context, name string, torn bool) error {
	f, err := j.instance.sys.Files.Open(j.path(name))
	if errors.Is(err, fs.ErrNotExist) && torn {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	decoder := json.NewDecoder(bufio.NewReader(f))
	for {
		var r record
		if err := decoder.Decode(&r); errors.Is(err, io.EOF) || torn && errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if err := j.apply(ctx, r); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
	}
}

func (j *journal) apply(ctx context.Context, r record) error {
	if r.Define != "" {
		return j.instance.execute(ctx, r.Database, r.Define)
	}
	c := j.instance.context(ctx, "")
	for _, ch := range r.Changes {
		schema, err := j.schema(c, ch.Database, ch.Table)
		if err != nil {
			return err
		}
		row, err := decodeRow(c, schema, ch.Row)
		if err != nil {
			return err
		}
		err = j.instance.store.Restore(engine.Change{
			Database: ch.Database, Table: ch.Table, Insert: !ch.Remove, RowID: ch.ID, AutoIncrement: ch.Auto, Row: row, Schema: schema,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (j *journal) schema(c *sql.Context, db, table string) (sql.Schema, error) {
	d, err := j.instance.store.Provider().Database(c, db)
	if err != nil {
		return nil, err
	}
	t, ok, err := d.GetTableInsensitive(c, table)
	if err != nil || !ok {
		return nil, fmt.Errorf("find table %s.%s: %w", db, table, errors.Join(err, fs.ErrNotExist))
	}
	return t.Schema(), nil
}

// close ends the log; the next start finds everything in its files.
func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.log == nil {
		return nil
	}
	err := j.log.Close()
	j.log = nil
	return err
}
