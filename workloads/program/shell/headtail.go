package shell

import (
	"io"
	"strconv"
	"strings"
	"time"
)

func head(c *command) int {
	f, ok := c.parse("n:c:q", map[string]string{"lines": "n", "bytes": "c"})
	if !ok {
		return codeUsage
	}
	n, err := strconv.Atoi(f.value("n", "10"))
	if err != nil || n < 0 {
		return c.fail(1, "invalid number of lines: '%s'", f.value("n", ""))
	}
	return c.eachInput(f.rest, func(name string, r io.Reader) error {
		if len(f.rest) > 1 {
			c.printf("==> %s <==\n", name)
		}
		if f.has("c") {
			size, err := strconv.ParseInt(f.value("c", "0"), 10, 64)
			if err != nil {
				return err
			}
			_, err = io.Copy(c.out, io.LimitReader(r, size))
			return err
		}
		left := n
		if left == 0 {
			return nil
		}
		return eachLine(r, func(line string) bool {
			c.printf("%s\n", line)
			left--
			return left > 0
		})
	})
}

func tail(c *command) int {
	f, ok := c.parse("n:c:fFq", map[string]string{"lines": "n", "bytes": "c", "follow": "f"})
	if !ok {
		return codeUsage
	}
	spec := f.value("n", "10")
	n, err := strconv.Atoi(strings.TrimPrefix(spec, "+"))
	if err != nil {
		return c.fail(1, "invalid number of lines: '%s'", spec)
	}
	code := c.eachInput(f.rest, func(name string, r io.Reader) error {
		if len(f.rest) > 1 {
			c.printf("==> %s <==\n", name)
		}
		if f.has("c") {
			data, err := io.ReadAll(r)
			size, e := strconv.Atoi(f.value("c", "0"))
			if err == nil {
				err = e
			}
			_, _ = c.out.Write(data[max(0, len(data)-size):])
			return err
		}
		if strings.HasPrefix(spec, "+") {
			i := 0
			return eachLine(r, func(line string) bool {
				if i++; i >= n {
					c.printf("%s\n", line)
				}
				return true
			})
		}
		var last []string
		err := eachLine(r, func(line string) bool {
			if last = append(last, line); len(last) > n {
				last = last[1:]
			}
			return true
		})
		for _, line := range last {
			c.printf("%s\n", line)
		}
		return err
	})
	if code == 0 && (f.has("f") || f.has("F")) && len(f.rest) == 1 {
		return c.follow(f.rest[0])
	}
	return code
}

// follow prints what is appended to a file until the command is ended.
func (c *command) follow(name string) int {
	file, err := c.sys.Files.Open(c.abs(name))
	if err != nil {
		return c.fail(1, "%s: %s", name, reason(err))
	}
	defer file.Close()
	if _, err := file.Seek(0, io.SeekEnd); err != nil {
		return c.fail(1, "%s: %s", name, reason(err))
	}
	ticker := c.sys.Clock.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		if _, err := io.Copy(c.out, file); err != nil {
			return c.fail(1, "%s: %s", name, reason(err))
		}
		select {
		case <-ticker.C():
		case <-c.ctx.Done():
			return 0
		}
	}
}
