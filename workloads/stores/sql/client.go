package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/gameday-bench/gameday/workloads/program"
)

// clientTimeout bounds connecting.
const clientTimeout = 10 * time.Second

// options are the options of mysql and mysqladmin.
type options struct {
	host, port, user, password, database string
	statement                            string
	hasStatement                         bool
	noNames, table, vertical, warn       bool
	rest                                 []string
}

// Client is mysql: [-h host] [-P port] [-u user] [-p[password]] [-D database] [-e statement] [-N] [-B] [-t] [-E] [database].
// Without -e it reads statements from stdin. Unlike the original it connects over TCP to 127.0.0.1 unless told otherwise.
func Client(ctx context.Context, sys *program.Sys) error {
	o, err := parseOptions(sys)
	if err != nil {
		return err
	}
	if len(o.rest) > 0 {
		o.database = o.rest[0]
	}
	text := o.statement
	if !o.hasStatement {
		data, err := io.ReadAll(sys.Stdin)
		if err != nil {
			return fmt.Errorf("read statements: %w", err)
		}
		text = string(data)
	}
	db, err := o.open(sys)
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return o.failure(err, 0)
	}
	defer conn.Close()
	if strings.TrimSpace(text) == "" {
		return nil
	}
	text, vertical := strings.CutSuffix(strings.TrimSpace(text), `\G`)
	rows, err := conn.QueryContext(ctx, text)
	if err != nil {
		return o.failure(err, 1)
	}
	defer rows.Close()
	for {
		if err := o.print(sys.Stdout, rows, vertical || o.vertical); err != nil {
			return o.failure(err, 1)
		}
		if !rows.NextResultSet() {
			break
		}
	}
	if err := rows.Err(); err != nil {
		return o.failure(err, 1)
	}
	return nil
}

// Admin is mysqladmin: options as of mysql, then ping, status, version or processlist.
func Admin(ctx context.Context, sys *program.Sys) error {
	o, err := parseOptions(sys)
	if err != nil {
		return err
	}
	db, err := o.open(sys)
	if err != nil {
		return err
	}
	defer db.Close()
	command := strings.Join(o.rest, " ")
	err = db.PingContext(ctx)
	var denied *mysql.MySQLError
	switch {
	case command == "ping" && (err == nil || errors.As(err, &denied)):
		fmt.Fprintln(sys.Stdout, "mysqld is alive")
		return nil
	case err != nil:
		return &program.ExitError{Code: 1, Err: fmt.Errorf("mysqladmin: connect to server at '%s' failed: %w", o.host, err)}
	}
	statement, ok := map[string]string{"status": "SHOW GLOBAL STATUS", "version": "SELECT VERSION()", "processlist": "SHOW PROCESSLIST"}[command]
	if !ok {
		return fmt.Errorf("mysqladmin: Unknown command: '%s'", command)
	}
	rows, err := db.QueryContext(ctx, statement)
	if err != nil {
		return o.failure(err, 1)
	}
	defer rows.Close()
	return o.print(sys.Stdout, rows, false)
}

// failure says an error in the client's own words.
func (o options) failure(err error, line int) error {
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		at := ""
		if line > 0 {
			at = fmt.Sprintf(" at line %d", line)
		}
		err = fmt.Errorf("ERROR %d (%s)%s: %s", my.Number, string(my.SQLState[:]), at, my.Message)
	} else if line > 0 {
		err = fmt.Errorf("ERROR 2013 (HY000) at line %d: Lost connection to MySQL server during query (%w)", line, err)
	} else {
		err = fmt.Errorf("ERROR 2003 (HY000): Can't connect to MySQL server on '%s:%s' (%w)", o.host, o.port, err)
	}
	return &program.ExitError{Code: 1, Err: err}
}

func (o options) open(sys *program.Sys) (*sql.DB, error) {
	if o.warn {
		fmt.Fprintln(sys.Stderr, "mysql: [Warning] Using a password on the command line interface can be insecure.")
	}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName, cfg.Net, cfg.Addr = o.user, o.password, o.database, "pod", net.JoinHostPort(o.host, o.port)
	cfg.MultiStatements, cfg.Timeout, cfg.Logger = true, clientTimeout, &mysql.NopLogger{}
	cfg.DialFunc = func(ctx context.Context, _, address string) (net.Conn, error) {
		return sys.Net.DialContext(ctx, "tcp", address)
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("configure client: %w", err)
	}
	return sql.OpenDB(connector), nil
}

// print writes a result as mysql does: tabs in batch mode, boxes with -t, one line per column with \G.
func (o options) print(w io.Writer, rows *sql.Rows, vertical bool) error {
	names, err := rows.Columns()
	if err != nil || len(names) == 0 {
		return err
	}
	var lines [][]string
	for rows.Next() {
		values := make([]sql.NullString, len(names))
		targets := make([]any, len(names))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		line := make([]string, len(names))
		for i, v := range values {
			if line[i] = v.String; !v.Valid {
				line[i] = "NULL"
			}
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	switch {
	case vertical:
		printVertical(w, names, lines)
	case o.table:
		printTable(w, names, lines)
	case len(lines) > 0:
		if !o.noNames {
			lines = append([][]string{names}, lines...)
		}
		escape := strings.NewReplacer("\\", `\\`, "\n", `\n`, "\t", `\t`)
		for _, line := range lines {
			for i := range line {
				line[i] = escape.Replace(line[i])
			}
			fmt.Fprintln(w, strings.Join(line, "\t"))
		}
	}
	return nil
}

func printVertical(w io.Writer, names []string, lines [][]string) {
	width := 0
	for _, n := range names {
		width = max(width, len(n))
	}
	stars := strings.Repeat("*", 27)
	for i, line := range lines {
		fmt.Fprintf(w, "%s %d. row %s\n", stars, i+1, stars)
		for k, v := range line {
			fmt.Fprintf(w, "%*s: %s\n", width, names[k], v)
		}
	}
}

func printTable(w io.Writer, names []string, lines [][]string) {
	widths := make([]int, len(names))
	for _, line := range append([][]string{names}, lines...) {
		for i, v := range line {
			widths[i] = max(widths[i], len(v))
		}
	}
	rule := "+"
	for _, n := range widths {
		rule += strings.Repeat("-", n+2) + "+"
	}
	row := func(line []string) {
		out := "|"
		for i, v := range line {
			out += fmt.Sprintf(" %-*s |", widths[i], v)
		}
		fmt.Fprintln(w, out)
	}
	if len(lines) == 0 {
		return
	}
	fmt.Fprintln(w, rule)
	row(names)
	fmt.Fprintln(w, rule)
	for _, line := range lines {
		row(line)
	}
	fmt.Fprintln(w, rule)
}

// parseOptions reads options in the ways that mysql takes them: -uroot, -u root, --user=root, --user root.
func parseOptions(sys *program.Sys) (options, error) {
	o := options{host: "127.0.0.1", port: Port, user: "root", password: sys.Getenv("MYSQL_PWD")}
	if p := sys.Getenv("MYSQL_TCP_PORT"); p != "" {
		o.port = p
	}
	valued := map[string]*string{
		"-h": &o.host, "--host": &o.host, "-P": &o.port, "--port": &o.port, "-u": &o.user, "--user": &o.user,
		"-D": &o.database, "--database": &o.database, "-e": &o.statement, "--execute": &o.statement,
	}
	args := expand(sys.Args)
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			o.rest = append(o.rest, arg)
			continue
		}
		name, value, given := split(arg)
		if target := valued[name]; target != nil {
			if !given {
				if len(args) == 0 {
					return o, fmt.Errorf("mysql: option '%s' requires an argument", name)
				}
				value, args = args[0], args[1:]
			}
			*target = value
			o.hasStatement = o.hasStatement || target == &o.statement
			continue
		}
		if !o.flag(name, value, given) {
			return o, fmt.Errorf("mysql: unknown option '%s'", arg)
		}
	}
	return o, nil
}

// flag handles what is not followed by a value.
func (o *options) flag(name, value string, given bool) bool {
	switch name {
	case "-p", "--password":
		if given {
			o.password, o.warn = value, true
		}
	case "-N", "--skip-column-names":
		o.noNames = true
	case "-t", "--table":
		o.table = true
	case "-E", "--vertical":
		o.vertical = true
	case "-B", "--batch", "-s", "--silent", "-v", "--verbose", "-f", "--force", "-A", "--no-auto-rehash", "-r", "--raw", "--protocol", "--connect-timeout":
	default:
		return false
	}
	return true
}

// expand takes apart arguments that hold several short flags, such as -sNe.
func expand(args []string) []string {
	var out []string
	for i, arg := range args {
		flags, ok := strings.CutPrefix(arg, "-")
		if !ok || len(flags) < 2 || strings.Trim(flags[:len(flags)-1], "NBstEvfAr") != "" || !strings.Contains("NBstEvfAre", flags[len(flags)-1:]) {
			out = append(out, args[i])
			continue
		}
		for _, f := range flags {
			out = append(out, "-"+string(f))
		}
	}
	return out
}

// split cuts an option into its name and the value that is attached to it.
func split(arg string) (name, value string, given bool) {
	if strings.HasPrefix(arg, "--") {
		return cutOption(arg)
	}
	if len(arg) > 2 {
		return arg[:2], strings.TrimPrefix(arg[2:], "="), true
	}
	return arg, "", false
}

func cutOption(arg string) (name, value string, given bool) {
	name, value, given = strings.Cut(arg, "=")
	return name, value, given
}
