package rebuild

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
)

// family returns a process and all that descend from it, and how many bytes of memory they
// have resident, each page as often as there are processes that share it.
func family(pid int) (processes []int, resident int64) {
	children, pages := map[int][]int{}, map[int]int64{}
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, 0
	}
	for _, file := range files {
		p, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			continue
		}
		parent, rss, ok := readStat(file)
		if ok { // otherwise it has ended
			children[parent] = append(children[parent], p)
			pages[p] = rss
		}
	}
	processes = []int{pid}
	for i := 0; i < len(processes); i++ {
		processes = append(processes, children[processes[i]]...)
		resident += pages[processes[i]] * int64(os.Getpagesize())
	}
	return processes, resident
}

// readStat reads a process's parent and resident pages, fields 4 and 24 of proc(5)'s stat.
func readStat(file string) (parent int, pages int64, ok bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, false
	}
	// The second field is in parentheses and may contain anything.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 22 {
		return 0, 0, false
	}
	parent, err = strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0, 0, false
	}
	pages, err = strconv.ParseInt(string(fields[21]), 10, 64)
	return parent, pages, err == nil
}
