package mysqld

import (
	"strings"
	"sync/atomic"

	gmssql "github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/expression"
	"github.com/dolthub/go-mysql-server/sql/plan"
	"github.com/dolthub/go-mysql-server/sql/types"
	querypb "github.com/dolthub/vitess/go/vt/proto/query"
	ast "github.com/dolthub/vitess/go/vt/sqlparser"

	"github.com/gameday-bench/gameday/workloads/stores/sql/mysqld/engine"
)

// read is a SELECT of one table that has been understood once and can be answered again, with other constants, without being parsed, bound and
// analysed: rows that meet conditions, in the order of the primary key. It is safe for concurrent use.
type read struct {
	// version is that of the definitions that it was understood with. It says nothing about others.
	version uint64
	// fit says that there is an answer here. Without it only version is set: the statement is more than that.
	fit bool

	database, table string
	// auth is the right that the SQL engine asks for before it binds the table's name.
	auth ast.AuthInformation
	// schema and fields describe the answer's columns, to the engine and to the client.
	schema gmssql.Schema
	fields []*querypb.Field
	// projections make an answer's row of a table's; without any they are the same.
	projections []gmssql.Expression
	conditions  []condition
	access      access
	encoded     atomic.Pointer[encoded]
}

// understand makes a read of a statement that the SQL engine has analysed; false when it is more than a read can be. What comes out, and its
// order, is what the engine's plan says; the conditions are the statement's own, since a plan holds constants in several forms and places.
func (r *read) understand(c *gmssql.Context, statement *ast.Select, analysed gmssql.Node, constants []constant) bool {
	from, ok := only(statement)
	if !ok {
		return false
	}
	r.auth, r.schema = from.Auth, analysed.Schema()
	node := analysed
	if project, ok := node.(*plan.Project); ok {
		r.projections, node = project.Projections, project.Child
	}
	var order gmssql.SortFields
	if sort, ok := node.(*plan.Sort); ok {
		order, node = sort.SortFields, sort.Child
	}
	if filter, ok := node.(*plan.Filter); ok {
		node = filter.Child
	}
	table, indexed, ok := source(c, node)
	if !ok {
		return false
	}
	if r.database, r.table, ok = engine.Identify(table); !ok {
		return false
	}
	keyed, ok := table.(gmssql.PrimaryKeyTable)
	if !ok {
		return false
	}
	key := keyed.PrimaryKeySchema()
	if !r.projected(key.Schema) || !ordered(order, key) {
		return false
	}
	m := matcher{columns: key.Schema, constants: constants}
	if statement.Where != nil && !m.match(statement.Where.Expr) || m.next != len(constants) {
		return false
	}
	r.conditions = m.conditions
	r.access = accessBy(key, r.conditions)
	// Where the engine uses the key in a way that is not known here, looking at all rows is worse.
	return !indexed || len(r.conditions) == 0 || r.access.keyed()
}

// only returns the one table of a statement that selects from it under conditions, and does nothing else.
func only(s *ast.Select) (*ast.AliasedTableExpr, bool) {
	if s.With != nil || s.QueryOpts != (ast.QueryOpts{}) || len(s.GroupBy) > 0 || s.Having != nil || len(s.Window) > 0 || s.Limit != nil || s.Into != nil {
		return nil, false
	}
	if s.Lock != "" && s.Lock != ast.ForUpdateStr && s.Lock != ast.ShareModeStr || len(s.From) != 1 || s.Where != nil && s.Where.Type != ast.WhereStr {
		return nil, false
	}
	from, ok := s.From[0].(*ast.AliasedTableExpr)
	if !ok || len(from.Partitions) > 0 || !from.As.IsEmpty() || from.Hints != nil || from.AsOf != nil || from.Lateral {
		return nil, false
	}
	_, ok = from.Expr.(ast.TableName)
	return from, ok
}

// source returns the table that a leaf of a plan reads in the order of the primary key; indexed says that it does not read all of it.
func source(c *gmssql.Context, leaf gmssql.Node) (table gmssql.Table, indexed, ok bool) {
	switch n := leaf.(type) {
	case *plan.ResolvedTable:
		return n.UnderlyingTable(), false, n.AsOf == nil
	case *plan.IndexedTableAccess:
		if !n.IsStatic() {
			return nil, false, false
		}
		lookup, err := n.GetLookup(c, nil)
		return n.UnderlyingTable(), !whole(lookup), err == nil && !lookup.IsReverse && engine.IsPrimary(lookup.Index)
	}
	return nil, false, false
}

// whole says whether a lookup finds everything: it is there for the order of its index.
func whole(lookup gmssql.IndexLookup) bool {
	ranges, ok := lookup.Ranges.(gmssql.MySQLRangeCollection)
	if !ok || len(ranges) != 1 {
		return false
	}
	for _, column := range ranges[0] {
		_, below := column.LowerBound.(gmssql.BelowNull)
		_, above := column.UpperBound.(gmssql.AboveAll)
		if !below || !above {
			return false
		}
	}
	return true
}

// ordered says whether rows in the order of the key are in the order that is wanted.
func ordered(order gmssql.SortFields, key gmssql.PrimaryKeySchema) bool {
	if len(order) > len(key.PkOrdinals) {
		return false
	}
	for i, field := range order {
		column, ok := field.Column.(*expression.GetField)
		if !ok || field.Order != gmssql.Ascending || !isColumn(column, key.Schema) || column.Index() != key.PkOrdinals[i] {
			return false
		}
	}
	return true
}

// projected says whether the answer's columns are columns of the table, or sums, differences and products of two of its integers.
func (r *read) projected(columns gmssql.Schema) bool {
	if len(r.projections) == 0 {
		return len(r.schema) == len(columns)
	}
	for _, e := range r.projections {
		if alias, ok := e.(*expression.Alias); ok {
			e = alias.Child
		}
		if isColumn(e, columns) {
			continue
		}
		a, ok := e.(*expression.Arithmetic)
		if !ok || !isInteger(a.LeftChild, columns) || !isInteger(a.RightChild, columns) {
			return false
		}
	}
	return len(r.schema) == len(r.projections)
}

func isColumn(e gmssql.Expression, columns gmssql.Schema) bool {
	f, ok := e.(*expression.GetField)
	return ok && f.Index() >= 0 && f.Index() < len(columns) && strings.EqualFold(columns[f.Index()].Name, f.Name())
}

func isInteger(e gmssql.Expression, columns gmssql.Schema) bool {
	return isColumn(e, columns) && types.IsInteger(e.Type())
}
