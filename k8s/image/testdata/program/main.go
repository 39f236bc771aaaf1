// Command program stands for the aggregator in the image's tests: it has an interpreter, loads the
// engine from where the image keeps it, and says what it finds around itself.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/ebitengine/purego"
)

func main() {
	engine, err := purego.Dlopen("/usr/lib/repronet/libchdb.so", purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var square func(int32) int32
	purego.RegisterLibFunc(&square, engine, "square")
	fmt.Println("args:", strings.Join(os.Args[1:], " "))
	fmt.Println("user:", os.Getuid(), os.Getgid())
	fmt.Println("engine:", square(7))
	for _, path := range []string{"/data/ledger", "/tmp/scratch", "/etc/passwd"} {
		err := os.WriteFile(path, []byte("x"), 0o600)
		fmt.Println("writes", path+":", err == nil)
	}
}
