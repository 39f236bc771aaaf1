# A small package set that needs no nixpkgs and no network: every builder is a
# static busybox. Its derivations are deterministic, or not, for the reasons
# that real packages are.
#
#   mkdir tools; cp /bin/busybox tools/
#   nix-build e2e/nixset --arg tools ./tools
{ tools }:
let
  # A directory, because busybox looks at its own file name to choose an applet.
  sh = "${builtins.path { name = "tools"; path = tools; }}/busybox";
  build = name: attributes: script: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = sh;
    args = [ "sh" "-euc" ''
      ${sh} mkdir /build/bin
      ${sh} --install -s /build/bin
      export PATH=/build/bin
      ${script}
    '' ];
  } // attributes);
in rec {
  # Reproducible.
  hello = build "hello-1.0" { } "echo hello > $out";
  words = build "words-1.0" { } "mkdir $out; for w in one two three; do echo $w > $out/$w; done";
  table = build "table-2.1" { } "seq 1 1000 | awk '{print $1 * $1}' > $out";
  archive-sorted = build "archive-sorted-1.0" { } "mkdir in; cd in; for f in b a c; do echo $f > $f; touch -d @1 $f; done; tar -cf $out $(ls | sort)";
  greeting = build "greeting-1.0" { inherit hello; } "sed s/hello/greetings/ $hello > $out";
  library = build "library-3.2" { outputs = [ "out" "dev" ]; } "echo code > $out; echo header > $dev";
  application = build "application-1.1" { inherit words; library = library; } "cat $words/one $library > $out";
  large = build "large-1.0" { } "seq 1 200000 > $out";

  # Not reproducible, by themselves.
  # Builders work side by side: a time has to be finer than a second to differ.
  stamped = build "stamped-1.0" { } "touch stamp; stat -c %z stamp > $out; cat /proc/uptime >> $out";
  random-seed = build "random-seed-0.9" { } "head -c 16 /dev/urandom | od -An -tx1 > $out";
  kernel-info = build "kernel-info-1.0" { } "cat /proc/sys/kernel/random/boot_id /proc/sys/kernel/random/uuid > $out";
  archive-times = build "archive-times-1.0" { } "mkdir in; for f in b a c; do echo $f > in/$f; sleep 1; done; tar -cf $out -C in .; stat -c %z in/* >> $out";
  # Its members come in the order in which parallel jobs finish.
  archive-order = build "archive-order-1.0" { } ''
    mkdir in; cd in
    for f in a b c d e f g h i j; do
      (echo $f > $f; touch -d @1 $f; usleep $(( $(od -An -N2 -tu2 /dev/urandom) * 4 )); echo $f >> ../order) &
    done
    wait; tar -cf $out $(cat ../order)
  '';
  # One of its outputs is, the other is not.
  halves = build "halves-1.0" { outputs = [ "out" "doc" ]; } "echo program > $out; mkdir -p $doc/html; echo manual > $doc/html/manual; head -c 8 /dev/urandom | od -An -tx1 > $doc/seed";

  # Deterministic itself, from an input that is not.
  report = build "report-1.0" { inherit stamped; } "sed 's/^/built at /' $stamped > $out";

  # Fixed-output: its digest is in the recipe, so agreement says nothing.
  source = build "source-1.0.txt" {
    outputHashMode = "flat";
    outputHashAlgo = "sha256";
    outputHash = builtins.hashString "sha256" "fetched\n";
  } "echo fetched > $out";
  from-source = build "from-source-1.0" { inherit source; } "tr a-z A-Z < $source > $out";
}
