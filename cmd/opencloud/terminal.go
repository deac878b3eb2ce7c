package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"
)

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// unseen reads a line without showing it.
func unseen(f *os.File) (string, error) {
	fd := int(f.Fd())
	was, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return "", err
	}
	quiet := *was
	quiet.Lflag &^= unix.ECHO
	quiet.Lflag |= unix.ICANON | unix.ISIG
	restore := func() { unix.IoctlSetTermios(fd, unix.TCSETS, was) }
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	defer signal.Stop(interrupted)
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &quiet); err != nil {
		return "", err
	}
	defer restore()
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		text, err := line(f)
		got <- answer{text, err}
	}()
	defer fmt.Fprintln(os.Stderr)
	select {
	case a := <-got:
		return a.text, a.err
	case <-interrupted:
		return "", errors.New("interrupted")
	}
}

// maxLine is longer than any password, in bytes.
const maxLine = 4096

// line reads up to the end of the line and not a byte further.
func line(r io.Reader) (string, error) {
	var text []byte
	var b [1]byte
	for len(text) < maxLine {
		n, err := r.Read(b[:])
		if n == 1 && b[0] == '\n' || err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
		text = append(text, b[:n]...)
	}
	return strings.TrimSuffix(string(text), "\r"), nil
}
