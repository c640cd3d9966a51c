package kubectl

import (
	"io"
	"os"
	"sync"
	"syscall"
	_ "unsafe" // For go:linkname.

	"k8s.io/klog/v2"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"

	"github.com/gameday-bench/gameday/internal/kubeversion"
)

// terminationSignals are the signals on which kubectl's watching commands call os.Exit. They belong to this process, which
// ends in an orderly way of its own.
//
//go:linkname terminationSignals k8s.io/kubectl/pkg/util/interrupt.terminationSignals
var terminationSignals []os.Signal

// neverSent is a real-time signal that nobody sends.
const neverSent = syscall.Signal(61)

// adopt makes kubectl fit to live in this process: its fatal errors end the command instead of the process, and it leaves
// the process's signals and standard error alone. It also learns its version. All are process-wide, and set once.
var adopt = sync.OnceFunc(func() {
	// Client libraries complain through klog about streams that are cut on purpose. A logger that main has set wins.
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	// A wrong version only shows in kubectl version.
	_ = kubeversion.Set()
	terminationSignals = []os.Signal{neverSent}
	cmdutil.BehaviorOnFatal(func(message string, code int) { panic(exit{message, code}) })
})
