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
