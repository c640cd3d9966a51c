package cache

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/workloads/program"
)

// clientTimeout bounds each step of the client.
const clientTimeout = 5 * time.Second

// clientOptions are the options of redis-cli that are understood.
type clientOptions struct {
	host, port, user, password, db string
	quoted                         bool
	command                        []string
}

// Client is redis-cli: [-h host] [-p port] [-a password] [--user name] [-n db] [--no-raw] command...; without a command it
// reads commands from stdin, one per line. REDISCLI_AUTH is the password when -a is not given.
func Client(ctx context.Context, sys *program.Sys) error {
	o, err := parseClient(sys)
	if err != nil {
		return err
	}
	dialCtx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	conn, err := sys.Net.DialContext(dialCtx, "tcp", net.JoinHostPort(o.host, o.port))
	if err != nil {
		return fmt.Errorf("Could not connect to Redis at %s:%s: %w", o.host, o.port, err) //nolint:staticcheck // redis-cli's own words.
	}
	defer conn.Close()
	c := &clientConn{conn: conn, reader: bufio.NewReader(conn), sys: sys, quoted: o.quoted}
	if o.password != "" {
		auth := []string{"AUTH", o.password}
		if o.user != "" {
			auth = []string{"AUTH", o.user, o.password}
		}
		if answer, err := c.call(auth); err != nil {
			return err
		} else if !strings.HasPrefix(answer, "OK") {
			fmt.Fprintln(sys.Stderr, "AUTH failed:", answer)
		}
	}
	if o.db != "" {
		if _, err := c.call([]string{"SELECT", o.db}); err != nil {
			return err
		}
	}
	if len(o.command) > 0 {
		return c.print(o.command)
	}
	lines := bufio.NewScanner(sys.Stdin)
	for lines.Scan() {
		if words := strings.Fields(lines.Text()); len(words) > 0 {
			if err := c.print(words); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}

func parseClient(sys *program.Sys) (clientOptions, error) {
	o := clientOptions{host: "127.0.0.1", port: Port, password: sys.Getenv("REDISCLI_AUTH")}
	args := sys.Args
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		name := args[0]
		args = args[1:]
		switch name {
		case "--raw", "--no-auth-warning":
			continue
		case "--no-raw":
			o.quoted = true
			continue
		}
		target, ok := map[string]*string{"-h": &o.host, "-p": &o.port, "-a": &o.password, "--pass": &o.password, "--user": &o.user, "-n": &o.db}[name]
		if !ok || len(args) == 0 {
			return o, fmt.Errorf("Unrecognized option or bad number of args for: '%s'", name) //nolint:staticcheck // redis-cli's own words.
		}
		*target, args = args[0], args[1:]
	}
	o.command = args
	return o, nil
}

type clientConn struct {
	conn   net.Conn
	reader *bufio.Reader
	sys    *program.Sys
	quoted bool
}

func (c *clientConn) print(command []string) error {
	answer, err := c.call(command)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.sys.Stdout, answer)
	return nil
}

func (c *clientConn) call(command []string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(command))
	for _, word := range command {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	if err := c.conn.SetDeadline(c.sys.Clock.Now().Add(clientTimeout)); err != nil {
		return "", fmt.Errorf("set deadline: %w", err)
	}
	if _, err := io.WriteString(c.conn, b.String()); err != nil {
		return "", fmt.Errorf("send command: %w", err)
	}
	answer, err := c.read("")
	if err != nil {
		return "", fmt.Errorf("read answer: %w", err)
	}
	return answer, nil
}

// read reads one answer and writes it as redis-cli does.
func (c *clientConn) read(indent string) (string, error) {
	line, err := c.reader.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("empty answer")
	}
	text := line[1:]
	switch line[0] {
	case '+':
		return text, nil
	case '-':
		if c.quoted {
			return "(error) " + text, nil
		}
		return text, nil
	case ':':
		if c.quoted {
			return "(integer) " + text, nil
		}
		return text, nil
	case '$':
		return c.bulk(text)
	case '*':
		return c.list(text, indent)
	}
	return "", fmt.Errorf("unknown answer %q", line)
}

func (c *clientConn) bulk(length string) (string, error) {
	n, err := strconv.Atoi(length)
	if err != nil {
		return "", err
	}
	if n < 0 {
		if c.quoted {
			return "(nil)", nil
		}
		return "", nil
	}
	data := make([]byte, n+2)
	if _, err := io.ReadFull(c.reader, data); err != nil {
		return "", err
	}
	if c.quoted {
		return strconv.Quote(string(data[:n])), nil
	}
	return string(data[:n]), nil
}

func (c *clientConn) list(length, indent string) (string, error) {
	n, err := strconv.Atoi(length)
	if err != nil {
		return "", err
	}
	if n <= 0 {
		if c.quoted {
			return "(empty array)", nil
		}
		return "", nil
	}
	lines := make([]string, n)
	for i := range lines {
		item, err := c.read(indent + "   ")
		if err != nil {
			return "", err
		}
		if c.quoted {
			item = fmt.Sprintf("%d) %s", i+1, item)
			if i > 0 {
				item = indent + item
			}
		}
		lines[i] = item
	}
	return strings.Join(lines, "\n"), nil
}
