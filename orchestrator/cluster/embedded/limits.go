package embedded

import (
	"errors"
	"strings"
	"syscall"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/oslimit"
)

// explainLimit says which limit was reached where err is about too many open files. A child's own error says so already.
func explainLimit(err error) error {
	if !strings.Contains(err.Error(), "too many open files") {
		return err
	}
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		err = oslimit.Explain(err)
	}
	return errs.Hint(err, "run fewer clusters at a time, or raise the limit; gameday doctor --concurrency N says whether N fit")
}
