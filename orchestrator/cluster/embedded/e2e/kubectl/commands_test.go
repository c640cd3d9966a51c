package kubectl

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
)

// poll runs try until what it returns matches the pattern.
func poll(ts *testscript.TestScript, pattern string, try func() string) {
	want, err := regexp.Compile("(?m)" + pattern)
	ts.Check(err)
	last := ""
	err = wait.PollUntilContextTimeout(context.Background(), 200*time.Millisecond, clustertest.Patience, true, func(context.Context) (bool, error) {
		last = try()
		return want.MatchString(last), nil
	})
	if err != nil {
		ts.Fatalf("no match for %q, but\n%s", pattern, last)
	}
}

// eventually runs a command until its output matches: eventually PATTERN COMMAND [ARG...].
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually PATTERN COMMAND [ARG...]")
	}
	poll(ts, args[0], func() string {
		if err := ts.Exec(args[1], args[2:]...); err != nil {
			return ts.ReadFile("stdout") + ts.ReadFile("stderr") + "\n" + err.Error()
		}
		return ts.ReadFile("stdout") + ts.ReadFile("stderr")
	})
}

// fetch gets a URL from this machine until the body matches: fetch PATTERN URL.
func fetch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fetch PATTERN URL")
	}
	client := http.Client{Timeout: 5 * time.Second}
	poll(ts, args[0], func() string {
		answer, err := client.Get(args[1]) // It has a time-out.
		if err != nil {
			return err.Error()
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			return err.Error()
		}
		return string(body)
	})
}
