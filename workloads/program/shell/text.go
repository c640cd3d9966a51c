package shell

import (
	"cmp"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"
)

func textTools() map[string]tool {
	return map[string]tool{
		"head": head, "tail": tail, "grep": grep, "egrep": grep, "fgrep": grep, "wc": wc, "sort": sortLines, "uniq": uniq,
		"cut": cut, "tr": tr, "sed": sed, "seq": seq, "expr": expr, "xargs": xargs, "base64": base64Tool,
		"sha256sum": sum(sha256.New), "md5sum": sum(md5.New), "rev": rev, "awk": awkTool, "jq": jq,
	}
}

func wc(c *command) int {
	f, ok := c.parse("lwcm", nil)
	if !ok {
		return codeUsage
	}
	all := !f.has("l") && !f.has("w") && !f.has("c") && !f.has("m")
	var total [3]int
	show := func(n [3]int, name string) {
		var cols []string
		for i, flag := range []string{"l", "w", "c"} {
			if all || f.has(flag) || (flag == "c" && f.has("m")) {
				cols = append(cols, strconv.Itoa(n[i]))
			}
		}
		if name != "-" {
			cols = append(cols, name)
		}
		c.printf("%s\n", strings.Join(cols, " "))
	}
	code := c.eachInput(f.rest, func(name string, r io.Reader) error {
		data, err := io.ReadAll(r)
		n := [3]int{strings.Count(string(data), "\n"), len(strings.Fields(string(data))), len(data)}
		for i := range total {
			total[i] += n[i]
		}
		show(n, name)
		return err
	})
	if len(f.rest) > 1 {
		show(total, "total")
	}
	return code
}

func cut(c *command) int {
	f, ok := c.parse("d:f:c:s", map[string]string{"delimiter": "d", "fields": "f", "characters": "c"})
	if !ok {
		return codeUsage
	}
	spec := cmp.Or(f.value("f", ""), f.value("c", ""))
	wanted, err := ranges(spec)
	if err != nil {
		return c.fail(1, "invalid list of fields: '%s'", spec)
	}
	return c.eachInput(f.rest, func(_ string, r io.Reader) error {
		return eachLine(r, func(line string) bool {
			sep := f.value("d", "\t")
			parts := strings.Split(line, sep)
			if f.has("c") {
				sep, parts = "", strings.Split(line, "")
			} else if len(parts) == 1 {
				if !f.has("s") {
					c.printf("%s\n", line)
				}
				return true
			}
			var out []string
			for i, part := range parts {
				if wanted(i + 1) {
					out = append(out, part)
				}
			}
			c.printf("%s\n", strings.Join(out, sep))
			return true
		})
	})
}

// ranges reads a list such as 1,3-5,7-.
func ranges(spec string) (func(int) bool, error) {
	var tests []func(int) bool
	for part := range strings.SplitSeq(spec, ",") {
		from, to, isRange := strings.Cut(part, "-")
		low, high := 1, 1<<30
		var err error
		if from != "" {
			if low, err = strconv.Atoi(from); err != nil {
				return nil, err
			}
		}
		switch {
		case !isRange:
			high = low
		case to != "":
			if high, err = strconv.Atoi(to); err != nil {
				return nil, err
			}
		}
		if part == "" || part == "-" {
			return nil, strconv.ErrSyntax
		}
		tests = append(tests, func(n int) bool { return n >= low && n <= high })
	}
	return func(n int) bool {
		return slices.ContainsFunc(tests, func(t func(int) bool) bool { return t(n) })
	}, nil
}

func seq(c *command) int {
	nums := make([]int64, len(c.args))
	for i, arg := range c.args {
		n, err := strconv.ParseInt(arg, 10, 64)
		if err != nil {
			return c.fail(1, "invalid number '%s'", arg)
		}
		nums[i] = n
	}
	first, step, last := int64(1), int64(1), int64(0)
	switch len(nums) {
	case 1:
		last = nums[0]
	case 2:
		first, last = nums[0], nums[1]
	case 3:
		first, step, last = nums[0], nums[1], nums[2]
	}
	if len(nums) == 0 || len(nums) > 3 || step == 0 {
		return c.fail(1, "want [FIRST [STEP]] LAST")
	}
	for n := first; (step > 0 && n <= last) || (step < 0 && n >= last); n += step {
		if c.ctx.Err() != nil {
			return 1
		}
		c.printf("%d\n", n)
	}
	return 0
}

func xargs(c *command) int {
	f, ok := c.parse("+n:I:0rP:t", nil)
	if !ok {
		return codeUsage
	}
	data, err := io.ReadAll(c.in)
	if err != nil {
		return c.fail(1, "%v", err)
	}
	words := strings.Fields(string(data))
	if f.has("0") {
		words = strings.FieldsFunc(string(data), func(r rune) bool { return r == 0 })
	}
	argv := f.rest
	if len(argv) == 0 {
		argv = []string{"echo"}
	}
	if len(words) == 0 && f.has("r") {
		return 0
	}
	size := max(len(words), 1)
	if n, err := strconv.Atoi(f.value("n", "")); err == nil && n > 0 {
		size = n
	}
	mark := f.value("I", "")
	if mark != "" {
		words, size = slices.Collect(strings.SplitSeq(strings.TrimSuffix(string(data), "\n"), "\n")), 1
	}
	code := 0
	for first := true; first || len(words) > 0; first = false {
		batch := words[:min(size, len(words))]
		words = words[len(batch):]
		call := slices.Concat(argv, batch)
		if mark != "" && len(batch) > 0 {
			call = slices.Clone(argv)
			for i := range call {
				call[i] = strings.ReplaceAll(call[i], mark, batch[0])
			}
		}
		if c.spawn(call, strings.NewReader("")) != 0 {
			code = 123
		}
	}
	return code
}

func base64Tool(c *command) int {
	f, ok := c.parse("dw:", map[string]string{"decode": "d"})
	if !ok {
		return codeUsage
	}
	return c.eachInput(f.rest, func(_ string, r io.Reader) error {
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if f.has("d") {
			out, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(data)), ""))
			_, _ = c.out.Write(out)
			return err
		}
		c.printf("%s\n", base64.StdEncoding.EncodeToString(data))
		return nil
	})
}

func sum(algorithm func() hash.Hash) tool {
	return func(c *command) int {
		return c.eachInput(c.args, func(name string, r io.Reader) error {
			h := algorithm()
			_, err := io.Copy(h, r)
			if err == nil {
				c.printf("%s  %s\n", hex.EncodeToString(h.Sum(nil)), name)
			}
			return err
		})
	}
}

func rev(c *command) int {
	return c.eachInput(c.args, func(_ string, r io.Reader) error {
		return eachLine(r, func(line string) bool {
			runes := []rune(line)
			slices.Reverse(runes)
			c.printf("%s\n", string(runes))
			return true
		})
	})
}
