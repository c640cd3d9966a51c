package kubectl

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	cmdexec "k8s.io/kubectl/pkg/cmd/exec"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
)

// cpCommand is kubectl cp with streams of its own: kubectl's are carried by goroutines that end the process when a
// connection breaks or the other side's tar fails, and that print to the process's standard output.
func cpCommand(f cmdutil.Factory, streams genericiooptions.IOStreams) *cobra.Command {
	c := &copier{factory: f, streams: streams}
	cmd := &cobra.Command{
		Use: "cp <file-spec-src> <file-spec-dest>", Short: "Copy files and directories to and from containers",
		Long: "Copy files and directories to and from containers. One of the two is a path in a pod, written [namespace/]pod:path; its " +
			"container needs a tar.",
		Run: func(_ *cobra.Command, args []string) { cmdutil.CheckErr(c.run(args)) },
	}
	cmdutil.AddContainerVarFlags(cmd, &c.container, "")
	cmd.Flags().BoolVar(&c.noPreserve, "no-preserve", false, "The copied file/directory's ownership and permissions will not be preserved in the container")
	cmd.Flags().Int("retries", 0, "Ignored: a copy that fails says so")
	return cmd
}

// copier copies between the workspace and a container.
type copier struct {
	factory    cmdutil.Factory
	streams    genericiooptions.IOStreams
	container  string
	noPreserve bool
}

// place is one side of a copy; without a pod it is a local path.
type place struct{ namespace, pod, path string }

func parsePlace(arg string) (place, error) {
	pod, file, remote := strings.Cut(arg, ":")
	if !remote {
		return place{path: arg}, nil
	}
	namespace, name, qualified := strings.Cut(pod, "/")
	if !qualified {
		namespace, name = "", pod
	}
	if name == "" || strings.Contains(name, "/") {
		return place{}, errors.New("filespec must match the canonical format: [[namespace/]pod:]file/path")
	}
	return place{namespace, name, file}, nil
}

func (c *copier) run(args []string) error {
	if len(args) != 2 {
		return errors.New("source and destination are required")
	}
	src, srcErr := parsePlace(args[0])
	dest, destErr := parsePlace(args[1])
	if err := errors.Join(srcErr, destErr); err != nil {
		return err
	}
	switch {
	case src.path == "" || dest.path == "":
		return errors.New("filepath can not be empty")
	case src.pod != "" && dest.pod != "":
		return errors.New("one of src or dest must be a local file specification")
	case src.pod != "":
		return c.download(src, dest.path)
	case dest.pod != "":
		return c.upload(src.path, dest)
	}
	return errors.New("one of src or dest must be a remote file specification")
}

// download unpacks what tar in the container packs.
func (c *copier) download(src place, dest string) error {
	reader, writer := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		writer.CloseWithError(c.exec(src, nil, writer, "tar", "cf", "-", src.path))
	}()
	err := unpack(reader, strings.TrimPrefix(path.Clean("/"+src.path), "/"), dest, c.streams.ErrOut)
	if err == nil {
		// What comes after the archive's end is read, so that the other side can end, and says how it ended.
		_, err = io.Copy(io.Discard, reader)
	}
	reader.CloseWithError(errStopped)
	<-done
	return err
}

// upload packs for a tar in the container.
func (c *copier) upload(src string, dest place) error {
	if _, err := os.Stat(src); err != nil {
		return fmt.Errorf("%s doesn't exist in local filesystem", src)
	}
	if c.exec(dest, nil, io.Discard, "test", "-d", dest.path) == nil {
		dest.path = path.Join(dest.path, path.Base(src))
	}
	reader, writer := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := pack(writer, src, path.Base(dest.path))
		writer.CloseWithError(err)
		packed <- err
	}()
	command := []string{"tar"}
	if c.noPreserve {
		command = append(command, "--no-same-permissions", "--no-same-owner")
	}
	command = append(command, "-xmf", "-", "-C", path.Dir(dest.path))
	err := c.exec(dest, reader, c.streams.Out, command...)
	reader.CloseWithError(errStopped)
	if packErr := <-packed; packErr != nil && !errors.Is(packErr, errStopped) {
		return packErr
	}
	return err
}

// errStopped ends the packing for a tar that has ended.
var errStopped = errors.New("the other side has ended")

// exec runs a command in a container. The error is also that of a command that failed.
func (c *copier) exec(at place, in io.Reader, out io.Writer, command ...string) error {
	config, err := c.factory.ToRESTConfig()
	if err != nil {
		return err
	}
	clients, err := c.factory.KubernetesClientSet()
	if err != nil {
		return err
	}
	if at.namespace == "" {
		if at.namespace, _, err = c.factory.ToRawKubeConfigLoader().Namespace(); err != nil {
			return err
		}
	}
	complaints := c.streams.ErrOut
	if out == io.Discard {
		complaints = io.Discard
	}
	options := &cmdexec.ExecOptions{
		StreamOptions: cmdexec.StreamOptions{
			IOStreams: genericiooptions.IOStreams{In: in, Out: out, ErrOut: complaints}, Stdin: in != nil,
			Namespace: at.namespace, PodName: at.pod, ContainerName: c.container,
		},
		Command: command, Executor: &cmdexec.DefaultRemoteExecutor{}, Config: config, PodClient: clients.CoreV1(),
	}
	if err := options.Validate(); err != nil {
		return err
	}
	return options.Run()
}
