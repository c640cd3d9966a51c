package mysqld

import (
	"context"

	"github.com/dolthub/go-mysql-server/server"
	gmssql "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/vitess/go/mysql"
	"github.com/dolthub/vitess/go/sqltypes"
	querypb "github.com/dolthub/vitess/go/vt/proto/query"

	"github.com/gameday-bench/gameday/workloads/stores/sql/mysqld/engine"
)

// rowsBatch is how many rows are sent, or looked at, at once, as in go-mysql-server's own handler.
const rowsBatch = 128

// encodedRows is the size in rows up to which the rows of a whole table are kept as they are sent.
const encodedRows = 1024

// encoded are the rows of one version of a table, and what a read without an access by key makes of each: a table that does not change is written in
// the client's format once.
type encoded struct {
	view   engine.View
	rows   []gmssql.Row
	answer [][]sqltypes.Value
}

// send sends the rows that meet the conditions.
func (r *read) send(ctx *gmssql.Context, view engine.View, constants []any, out *spool) error {
	if r.access.keyed() {
		return r.each(ctx, r.access.rows(ctx, view, r.conditions, constants), r.access.rest, constants, out)
	}
	if !view.Fixed() {
		return r.each(ctx, view.Rows(), r.access.rest, constants, out)
	}
	e := r.encoded.Load()
	if e == nil || e.view != view {
		// It is worth the work when this version is met a second time.
		e = &encoded{view: view}
		r.encoded.Store(e)
	} else if e.answer == nil && view.Len() <= encodedRows {
		var err error
		if e, err = r.encode(ctx, view); err != nil {
			return err
		}
		r.encoded.Store(e)
	}
	if e.answer != nil {
		return r.choose(ctx, e, constants, out)
	}
	return r.each(ctx, view.Rows(), r.access.rest, constants, out)
}

func (r *read) encode(ctx *gmssql.Context, view engine.View) (*encoded, error) {
	rows := view.Rows()
	e := &encoded{view: view, rows: rows, answer: make([][]sqltypes.Value, len(rows))}
	for i, row := range rows {
		var err error
		if e.answer[i], err = server.RowToSQL(ctx, r.schema, row, r.projections, nil); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// choose sends the encoded rows that meet the conditions.
func (r *read) choose(ctx *gmssql.Context, e *encoded, constants []any, out *spool) error {
	for i, row := range e.rows {
		in, err := r.meets(ctx, row, r.access.rest, constants)
		if err != nil {
			return err
		}
		if !in {
			continue
		}
		if err := out.add(e.answer[i]); err != nil {
			return err
		}
	}
	return nil
}

// each encodes and sends those of the rows that meet some of the conditions.
func (r *read) each(ctx *gmssql.Context, rows []gmssql.Row, conditions []int, constants []any, out *spool) error {
	for i, row := range rows {
		if i%rowsBatch == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		in, err := r.meets(ctx, row, conditions, constants)
		if err != nil {
			return err
		}
		if !in {
			continue
		}
		answer, err := server.RowToSQL(ctx, r.schema, row, r.projections, out.buffer)
		if err != nil {
			return err
		}
		if err := out.add(answer); err != nil {
			return err
		}
	}
	return nil
}

// meets says whether a row meets the conditions.
func (r *read) meets(ctx context.Context, row gmssql.Row, conditions []int, constants []any) (bool, error) {
	for _, i := range conditions {
		if in, err := r.conditions[i].holds(ctx, row, constants); err != nil || !in {
			return false, err
		}
	}
	return true, nil
}

// spool hands rows over to the client in batches.
type spool struct {
	fields   []*querypb.Field
	callback mysql.ResultSpoolFn
	// buffer holds the values of the rows that were not encoded before.
	buffer *gmssql.ByteBuffer
	batch  [][]sqltypes.Value
	total  int64
}

func (s *spool) add(row []sqltypes.Value) error {
	s.batch = append(s.batch, row)
	s.total++
	if len(s.batch) < rowsBatch {
		return nil
	}
	return s.flush()
}

func (s *spool) flush() error {
	err := s.callback(&sqltypes.Result{Fields: s.fields, Rows: s.batch, RowsAffected: uint64(len(s.batch))}, false)
	s.batch = nil
	return err
}

// end sends what is left. Without any row the client still has to learn the columns.
func (s *spool) end() error {
	if len(s.batch) == 0 && s.total > 0 {
		return nil
	}
	return s.flush()
}
