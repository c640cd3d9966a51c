package node

import (
	"fmt"
	"log/slog"
	"os"
	"path"
	"time"
)

// kernelLog is where a syslog daemon puts the kernel's messages, in the node's own root.
const kernelLog = "var/log/kern.log"

// logKernel adds a line to the kernel log of the node whose root directory is given, as a syslog daemon writes it.
func logKernel(root, node, message string, log *slog.Logger) {
	if err := appendLine(root, fmt.Sprintf("%s %s kernel: %s\n", time.Now().Format(time.RFC3339), node, message)); err != nil {
		log.Warn("kernel message lost", "error", err)
	}
}

// appendLine writes below the root only: a pod with the directory mounted may have put a link there.
func appendLine(dir, line string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open root directory: %w", err)
	}
	defer root.Close()
	if err := root.MkdirAll(path.Dir(kernelLog), 0o755); err != nil {
		return fmt.Errorf("make log directory: %w", err)
	}
	f, err := root.OpenFile(kernelLog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	if _, err := f.WriteString(line); err != nil {
		f.Close()
		return fmt.Errorf("write log: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	return nil
}
