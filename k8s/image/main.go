// Command image writes the aggregator's container image as an OCI image layout in one tar file, with
// no daemon, no registry and no base image:
//
//	go run ./k8s/image -aggregator bin/repronet-aggregator -engine PATH/libchdb.so -o aggregator.tar
//
// The image holds the aggregator, the engine that it loads, and what the dynamic linker needs to
// start the two: the interpreter that the aggregator's ELF header names and the libraries that the
// DT_NEEDED entries of all these files name, found where the linker looks by default and copied to the
// same paths. It has no shell, no package manager and no certificates, for the aggregator calls
// no third party. Its user trusts the C library of the machine that ran this command.
//
// The same input files give the same bytes: entries are sorted and belong to root, times are 0, and
// the compressor is the Go toolchain's own (so another Go version may give other bytes, though
// never other diff ids). The layer with the engine and the libraries comes first and changes seldom.
//
// The archive is read by "skopeo copy oci-archive:aggregator.tar docker://…", "podman load",
// "docker load" and "ctr images import". The manifest's digest is printed on standard output.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	var source Source
	flag.StringVar(&source.Aggregator, "aggregator", "bin/repronet-aggregator", "the aggregator's `binary`")
	flag.StringVar(&source.Engine, "engine", "", "the embedded engine's `library`, libchdb.so (required)")
	flag.StringVar(&source.Name, "name", "localhost/repronet-aggregator:0.1.0", "the image's `name:tag`")
	out := flag.String("o", "repronet-aggregator.tar", "the `file` to write")
	flag.Parse()
	if source.Engine == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(64)
	}
	digest, err := Build(source, *out)
	if err != nil {
		fmt.Fprintf(os.Stderr, "image: %v\n", err)
		os.Exit(1)
	}
	fmt.Println(digest)
}
