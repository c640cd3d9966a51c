package agnhost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gameday-bench/gameday/workloads/program"
)

// dialTimeout is how long one request of a client may take.
const dialTimeout = 5 * time.Second

// dial makes a number of requests to host:port and reports all answers and errors.
func (s *netexecServer) dial(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	host, port, request := q.Get("host"), q.Get("port"), q.Get("request")
	s.log.Printf("GET /dial?host=%s&protocol=%s&port=%s&request=%s&tries=%s", host, q.Get("protocol"), port, request, q.Get("tries"))
	tries := 1
	if t := q.Get("tries"); t != "" {
		var err error
		if tries, err = strconv.Atoi(t); err != nil {
			http.Error(w, fmt.Sprintf("tries parameter is invalid. %v", err), http.StatusBadRequest)
			return
		}
	}
	if request == "" {
		http.Error(w, "request parameter not specified. <nil>", http.StatusBadRequest)
		return
	}
	address := net.JoinHostPort(host, port)
	var ask func(ctx context.Context, address, request string) (string, error)
	switch strings.ToLower(q.Get("protocol")) {
	case "", "http":
		ask = s.askHTTP
	case "udp":
		ask = s.askUDP
	default:
		http.Error(w, fmt.Sprintf("unsupported protocol. %s", q.Get("protocol")), http.StatusBadRequest)
		return
	}
	responses, failures := []string{}, []string{}
	for range tries {
		answer, err := ask(r.Context(), address, request)
		if err != nil {
			failures = append(failures, err.Error())
			continue
		}
		responses = append(responses, answer)
	}
	out := map[string][]string{}
	if len(responses) > 0 {
		out["responses"] = responses
	}
	if len(failures) > 0 {
		out["errors"] = failures
	}
	s.json(w, http.StatusOK, out)
}

func (a *app) askHTTP(ctx context.Context, address, request string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/"+request, nil)
	if err != nil {
		return "", err
	}
	resp, err := a.client(nil).Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func (a *app) askUDP(ctx context.Context, address, request string) (string, error) {
	conn, err := a.sys.Net.DialContext(ctx, "udp", address)
	if err != nil {
		return "", fmt.Errorf("udp dial failed. err:%w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(request)); err != nil {
		return "", fmt.Errorf("udp connection write failed. err:%w", err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(dialTimeout)); err != nil {
		return "", err
	}
	buf := make([]byte, 2048)
	n, err := conn.Read(buf)
	if err != nil || n == 0 {
		return "", fmt.Errorf("reading from udp connection failed. err:'%w'", err)
	}
	return string(buf[:n]), nil
}

// connect tries to reach host:port and says in one word why it could not.
func connect(ctx context.Context, a *app, args []string) error {
	f := newFlags("connect")
	timeout := f.Duration("timeout", 0, "maximum time")
	protocol := f.String("protocol", "tcp", "tcp or udp")
	data := f.String("udp-data", "hostname", "what is sent over UDP")
	if err := a.parse(f, args); err != nil {
		return err
	}
	if f.NArg() != 1 {
		return fmt.Errorf("accepts 1 arg(s), received %d", f.NArg())
	}
	if _, _, err := net.SplitHostPort(f.Arg(0)); err != nil {
		return fmt.Errorf("UNKNOWN: %w", err)
	}
	if *timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *timeout)
		defer cancel()
	}
	conn, err := a.sys.Net.DialContext(ctx, *protocol, f.Arg(0))
	if err == nil {
		defer conn.Close()
		if *protocol != "udp" {
			return nil
		}
		if deadline, ok := ctx.Deadline(); ok {
			_ = conn.SetDeadline(deadline)
		}
		if _, err = fmt.Fprintln(conn, *data); err == nil {
			_, err = conn.Read(make([]byte, 1024))
		}
	}
	if err == nil {
		return nil
	}
	return &program.ExitError{Code: 1, Err: errors.New(connectWord(err))}
}

func connectWord(err error) string {
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &dns):
		return "DNS: " + err.Error()
	case errors.Is(err, syscall.ECONNREFUSED):
		return "REFUSED"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "TIMEOUT"
	}
	return "OTHER: " + err.Error()
}
