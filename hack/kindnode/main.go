// Command kindnode makes a node image for kind where no container registry can be reached, and what goes with it: Chaos Mesh's images and
// chart, and a Docker daemon where the machine has none. It needs Debian packages and the Go module proxy only.
//
//	kindnode build [-engine docker] [-fresh] ...   make everything, keep it, and load the image into the engine
//	kindnode dockerd start|stop                    a Docker daemon of this project
//	kindnode clean [-all]                          remove results of other versions, or all
//
// Where kindest/node can be pulled, none of this is needed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/recipe"
)

const usage = `usage: kindnode COMMAND [FLAGS]

commands:
  build           make the node image, Chaos Mesh's images and its chart, and load the image into the container engine
  dockerd start   make sure that a Docker daemon runs: the machine's, or one of this project
  dockerd stop    end that one, and put the machine back
  clean           remove results of other versions

kindnode COMMAND -h lists the flags of a command. Where kindest/node can be pulled, none of this is needed.
`

// The exit codes are those of gameday.
const (
	exitError       = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(exitUsage)
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(exitInterrupted)
	}
	fmt.Fprintln(os.Stderr, "error:", err)
	os.Exit(exitError)
}

// errUsage is that of a command line that cannot be understood.
var errUsage = errors.New("usage")

// run runs one command. What it made goes to stdout, what it does meanwhile to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return fmt.Errorf("%w: no command", errUsage)
	}
	switch args[0] {
	case "build":
		return runBuild(ctx, args[1:], stdout, stderr)
	case "clean":
		return runClean(ctx, args[1:], stdout, stderr)
	case "dockerd":
		if len(args) < 2 {
			return fmt.Errorf("%w: dockerd start or dockerd stop?", errUsage)
		}
		switch args[1] {
		case "start":
			return runStart(ctx, args[2:], stdout, stderr)
		case "stop":
			return runStop(ctx, args[2:], stderr)
		}
		return fmt.Errorf("%w: unknown command dockerd %s", errUsage, args[1])
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, usage)
		return nil
	}
	fmt.Fprint(stderr, usage)
	return fmt.Errorf("%w: unknown command %s", errUsage, args[0])
}

// common are the flags of every command.
type common struct{ cache, source string }

func (c *common) register(flags *flag.FlagSet) {
	const where = "directory for results; $GAMEDAY_CACHE, or gameday in the user's cache directory"
	flags.StringVar(&c.cache, "cache", os.Getenv("GAMEDAY_CACHE"), where)
	flags.StringVar(&c.source, "source", "", "the project's directory hack/kindnode; found from the working directory where it is not given")
}

// dir is the directory of this program in the cache.
func (c *common) dir() (string, error) {
	cache := c.cache
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find the cache: %w: say where it is with -cache or GAMEDAY_CACHE", err)
		}
		cache = filepath.Join(base, "gameday")
	}
	dir, err := filepath.Abs(filepath.Join(cache, "kindnode"))
	if err != nil {
		return "", fmt.Errorf("find the cache: %w", err)
	}
	return dir, nil
}

func (c *common) sources() (recipe.Source, error) {
	if c.source == "" {
		return recipe.FindSource(".")
	}
	return recipe.FindSource(c.source)
}

// parse reads the flags of a command that takes no arguments.
func parse(flags *flag.FlagSet, args []string, stderr io.Writer) error {
	flags.SetOutput(stderr)
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", errUsage, err)
	case flags.NArg() > 0:
		return fmt.Errorf("%w: unexpected argument %s", errUsage, flags.Arg(0))
	}
	return nil
}

// envFile is the file of variables for a shell, and for make e2e-kind, in this program's directory of the cache.
func envFile(dir string) string { return filepath.Join(dir, "env") }
