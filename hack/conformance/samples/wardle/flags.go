package wardle

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// taken are the server's flags that have an effect here. The others name files that only the operating system has, or tune what package
// aggregate does in its own way.
var taken = []string{
	"audit-log-format", "audit-log-maxage", "audit-log-maxbackup", "audit-log-maxsize", "audit-log-path", "bind-address",
	"disable-admission-plugins", "disable-http2-serving", "emulated-version", "enable-admission-plugins", "enable-priority-and-fairness",
	"etcd-prefix", "etcd-servers", "feature-gates", "http2-max-streams-per-connection", "min-compatibility-version", "profiling",
	"secure-port", "storage-media-type", "tls-cert-file", "tls-cipher-suites", "tls-min-version", "tls-private-key-file", "watch-cache",
}

// check refuses flags that would have no effect, or another one than they say.
func check(fs *pflag.FlagSet) error {
	var errs []error
	fs.Visit(func(f *pflag.Flag) {
		switch {
		case !slices.Contains(taken, f.Name):
			errs = append(errs, fmt.Errorf("%s is not supported (allowed: %s)", f.Name, strings.Join(taken, ", ")))
		case f.Name == "audit-log-path" && f.Value.String() != "-":
			errs = append(errs, fmt.Errorf("audit-log-path: %s is not supported (allowed: -, the standard output)", f.Value))
		}
	})
	return errors.Join(errs...)
}
