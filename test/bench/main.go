// Command bench measures the whole server, the real binary over a real disk,
// beside a plain WebDAV server on the same disk in the same run, and prints a
// table: machines are noisy, so ratios are what counts. With -write it
// replaces docs/performance.md.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A target is a server to measure.
type target struct {
	name, addr, root string
	user, password   string
	cmd              *exec.Cmd
}

var (
	quick = flag.Bool("quick", false, "short runs and small trees, to see that it works")
	dir   = flag.String("dir", "", "folder on the disk to measure; a temporary one by default")
	write = flag.Bool("write", false, "replace docs/performance.md")
	only  = flag.String("only", "", "measure only what has this in its name")
)

func main() {
	flag.Parse()
	log.SetFlags(0)
	if err := bench(); err != nil {
		log.Fatal(err)
	}
}

func bench() error {
	base, err := os.MkdirTemp(*dir, "opencloud-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(base)
	for name, pkg := range map[string]string{"opencloud": "opencloud/cmd/opencloud", "rival": "opencloud/test/bench/rival"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(base, name), pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
		}
	}
	b := &run{base: base}
	if err := b.all(); err != nil {
		return err
	}
	text := b.report()
	fmt.Print(text)
	if *write {
		return os.WriteFile(filepath.Join("docs", "performance.md"), []byte(text), 0o644)
	}
	return nil
}

func freeAddr() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

const password = "bench bench bench bench"

// ours starts the server from nothing and says how long it took until the
// first signed-in request was answered.
func ours(base string) (t target, start time.Duration, err error) {
	data := filepath.Join(base, "data")
	t = target{name: "opencloud", addr: freeAddr(), root: "/remote.php/webdav", user: "admin", password: password}
	t.cmd = exec.Command(filepath.Join(base, "opencloud"), "server")
	t.cmd.Env = []string{
		"HOME=" + data, "PATH=" + os.Getenv("PATH"), "OC_BASE_DATA_PATH=" + data, "OC_CONFIG_DIR=" + filepath.Join(data, "config"),
		"OC_URL=http://" + t.addr, "PROXY_HTTP_ADDR=" + t.addr, "PROXY_TLS=false", "PROXY_DEBUG_ADDR=" + freeAddr(),
		"PROXY_ENABLE_BASIC_AUTH=true", "SSE_MAX_STREAMS=20000", "IDM_ADMIN_PASSWORD=" + password, "OC_LOG_LEVEL=error",
	}
	t.cmd.Stderr = os.Stderr
	at := time.Now()
	if err := t.cmd.Start(); err != nil {
		return t, 0, err
	}
	start, err = t.await(at)
	return t, start, err
}

func rival(base string) (t target, err error) {
	data := filepath.Join(base, "rival-data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return t, err
	}
	t = target{name: "x/net/webdav", addr: freeAddr()}
	t.cmd = exec.Command(filepath.Join(base, "rival"), t.addr, data)
	t.cmd.Stderr = os.Stderr
	if err := t.cmd.Start(); err != nil {
		return t, err
	}
	_, err = t.await(time.Now())
	return t, err
}

// await asks until there is an answer and says how long that took.
func (t target) await(since time.Time) (time.Duration, error) {
	for time.Since(since) < 30*time.Second {
		if c, err := dial(t.addr, t.user, t.password); err == nil {
			status, _, err := c.do("PROPFIND", t.root+"/", "Depth: 0\r\n", 0, nil)
			c.Close()
			if err == nil && status == 207 {
				return time.Since(since), nil
			}
		}
		runtime.Gosched()
	}
	return 0, fmt.Errorf("%s does not answer", t.name)
}

func (t target) stop() {
	t.cmd.Process.Signal(syscall.SIGTERM)
	t.cmd.Wait()
}

// rss is the resident memory of a server in bytes.
func (t target) rss() int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", t.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return kb << 10
}

// cpu is what a server has used of the processors so far.
func (t target) cpu() time.Duration {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", t.cmd.Process.Pid))
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// request makes one that must succeed.
func (t target) request(method, path, headers string, body io.Reader, size int64) (time.Duration, int64, error) {
	c, err := dial(t.addr, t.user, t.password)
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	at := time.Now()
	status, n, err := c.do(method, t.root+path, headers, size, body)
	if err == nil && status >= 300 {
		err = fmt.Errorf("%s: %s %s answered %d", t.name, method, path, status)
	}
	return time.Since(at), n, err
}

// durableCreates is what the disk can do right now the plain way: write, fsync,
// rename, fsync the folder, by 8 writers.
func durableCreates(base string, limit time.Duration) (float64, error) {
	var wg sync.WaitGroup
	var n atomic.Int64
	var failed atomic.Pointer[error]
	body := make([]byte, 1024)
	began := time.Now()
	for w := range 8 {
		wg.Go(func() {
			dir := filepath.Join(base, "raw", strconv.Itoa(w))
			err := os.MkdirAll(dir, 0o755)
			d, e := os.Open(dir)
			err = errors.Join(err, e)
			for i := 0; err == nil && time.Since(began) < limit; i++ {
				name := filepath.Join(dir, strconv.Itoa(i))
				var f *os.File
				if f, err = os.Create(name + ".tmp"); err != nil {
					break
				}
				_, err = f.Write(body)
				err = errors.Join(err, f.Sync(), f.Close(), os.Rename(name+".tmp", name), d.Sync())
				n.Add(1)
			}
			if err != nil {
				failed.Store(&err)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(n.Load()) / time.Since(began).Seconds(), nil
}
