package sql

import (
	"fmt"
	"strings"

	"github.com/gameday-bench/gameday/workloads/program"
)

// options are the options of mysql and mysqladmin.
type options struct {
	host, port, user, password, database string
	statement                            string
	hasStatement                         bool
	noNames, table, vertical, warn       bool
	rest                                 []string
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
	for _, arg := range args {
		flags, ok := strings.CutPrefix(arg, "-")
		if !ok || len(flags) < 2 || strings.Trim(flags[:len(flags)-1], "NBstEvfAr") != "" || !strings.Contains("NBstEvfAre", flags[len(flags)-1:]) {
			out = append(out, arg)
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
		return strings.Cut(arg, "=")
	}
	if len(arg) > 2 {
		return arg[:2], strings.TrimPrefix(arg[2:], "="), true
	}
	return arg, "", false
}
