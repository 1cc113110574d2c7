# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_sipward_global_optspecs
    string join \n color= utc h/help V/version
end

function __fish_sipward_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_sipward_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_sipward_using_subcommand
    set -l cmd (__fish_sipward_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c sipward -n "__fish_sipward_needs_command" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_needs_command" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_needs_command" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_needs_command" -s V -l version -d 'Print version'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "run" -d 'Run the daemon'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "check" -d 'Check the configuration and the credentials, and summarize them'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "flush" -d 'Remove every route, rule and table of sipward from the kernel, and end the stored bans'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "setup" -d 'Set sipward up: find FreeSWITCH, write the configuration, start observing'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "status" -d 'Show the state of the daemon'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "bans" -d 'List the active bans'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "banned" -d 'List the active bans'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "flows" -d 'List the denied flows, or allow one again'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "fleet" -d 'Nodes that share their bans'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "ban" -d 'Ban addresses or networks'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "banip" -d 'Ban addresses or networks'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "unban" -d 'Lift bans'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "unbanip" -d 'Lift bans'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "why" -d 'Show why an address is banned or not'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "whois" -d 'Show the owner of an address: its name, country and network, and the answer of its registry'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "allow" -d 'Show and change the allow list: hosts that no rule bans'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "history" -d 'Show past decisions: bans, unbans and refusals, newest first'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "stats" -d 'Show how many bans there were: by rule, by country, by day'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "tail" -d 'Print events as they happen, one line each, as in the log'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "mode" -d 'Show the mode and what it would block, or change it'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "policy" -d 'Show and change the policy'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "token" -d 'Manage access to the API and the console on TCP (`[http]` in the configuration file)'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "watch" -d 'Show live events: the connection, rates, the newest bans, the busiest sources'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "reload" -d 'Reload the configuration file. Bans, counts and changes at run time are kept'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "doctor" -d 'Check everything that sipward needs, with advice for each problem'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "notify" -d 'Test mail and webhooks'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "support" -d 'Write a file for a support request: versions, configuration, checks, state, alarms, decisions'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "import" -d 'Import settings and bans of another program'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "record" -d 'Record what FreeSWITCH sends on its Event Socket, for `replay`'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "replay" -d 'Test a policy with recordings or log files: show what it would have banned, and why'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "completions" -d 'Print the completions for a shell: `sipward completions bash > /etc/bash_completion.d/sipward`'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "demo" -d 'Show sipward during an attack: needs no root and no FreeSWITCH, and changes nothing on this host'
complete -c sipward -n "__fish_sipward_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sipward -n "__fish_sipward_using_subcommand run" -s c -l config -d 'Configuration file; without it, /etc/sipward/sipward.toml if it exists. Files `conf.d/*.toml` beside it are read after it' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand run" -l on-exit -d 'What happens to the routes at the end. Overrides `on_exit` of the file' -r -f -a "keep\t'They remain: a restart leaves no gap'
flush\t'Routes, rules and gate are removed'"
complete -c sipward -n "__fish_sipward_using_subcommand run" -l log-format -d 'Format of the log lines on standard output' -r -f -a "auto\t'Text on a terminal, JSON otherwise'
json\t'One JSON object a line'
text\t'One line of text'"
complete -c sipward -n "__fish_sipward_using_subcommand run" -l log-level -d 'Lowest level of log lines. Overrides `log.level` of the file' -r -f -a "error\t'Something does not work until the operator acts'
warn\t'Something should be checked'
info\t'Bans, failures, connections'
debug\t'What the parts of the program do'
trace\t'Every message in and out'"
complete -c sipward -n "__fish_sipward_using_subcommand run" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand run" -l dry-run -d 'Observe mode: do not change the kernel. Overrides `mode` of the file'
complete -c sipward -n "__fish_sipward_using_subcommand run" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand check" -s c -l config -d 'Configuration file; without it, /etc/sipward/sipward.toml if it exists. Files `conf.d/*.toml` beside it are read after it' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand check" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand check" -l effective -d 'Print every key with its value and the file that sets it, and check nothing else'
complete -c sipward -n "__fish_sipward_using_subcommand check" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand flush" -s c -l config -d 'Configuration file; without it, /etc/sipward/sipward.toml if it exists. Files `conf.d/*.toml` beside it are read after it' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand flush" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand flush" -l force -d 'Flush even if a daemon runs, which restores everything within a second'
complete -c sipward -n "__fish_sipward_using_subcommand flush" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand flush" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand setup" -l freeswitch -d 'FreeSWITCH\'s configuration directory, if it is an unusual one' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand setup" -l root -d 'Look and write below this directory, and start nothing: for images' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand setup" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand setup" -s y -l yes -d 'Answer every question with its default, for scripts'
complete -c sipward -n "__fish_sipward_using_subcommand setup" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand setup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand status" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand status" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand status" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand status" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand status" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand status" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand bans" -l origin -d 'Only bans of this origin' -r -f -a "remote\t'Another node of the fleet'
automatic\t'A rule, or a route found at start'
manual\t'An operator'
forced\t'An operator, with `--force`'"
complete -c sipward -n "__fish_sipward_using_subcommand bans" -l state -d 'Only bans in this state in the kernel' -r -f -a "pending\t'The kernel has not answered yet'
enforced\t'Packets of the network are dropped'
ineffective\t'The route does not stop the packets'
failed\t'The kernel refused the route'"
complete -c sipward -n "__fish_sipward_using_subcommand bans" -l scope -d 'Only bans of this scope' -r -f -a "host\t'Everything, by a blackhole route and the gate'
sip\t'Packets to the SIP ports, by the gate'"
complete -c sipward -n "__fish_sipward_using_subcommand bans" -l search -d 'Only bans with this text in their network, users, user agent, report or comment' -r
complete -c sipward -n "__fish_sipward_using_subcommand bans" -l sort -d 'Sort key' -r -f -a "net\t'The network'
since\t'The start'
until\t'The end'"
complete -c sipward -n "__fish_sipward_using_subcommand bans" -l limit -d 'Bans to show' -r
complete -c sipward -n "__fish_sipward_using_subcommand bans" -l cursor -d 'Continue after the page that ended with this `next`' -r
complete -c sipward -n "__fish_sipward_using_subcommand bans" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand bans" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand bans" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand bans" -s r -l reverse -d 'The largest or latest first'
complete -c sipward -n "__fish_sipward_using_subcommand bans" -l all -d 'Show all pages'
complete -c sipward -n "__fish_sipward_using_subcommand bans" -l csv -d 'Write all bans as CSV, ordered by network'
complete -c sipward -n "__fish_sipward_using_subcommand bans" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand bans" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand bans" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand banned" -l origin -d 'Only bans of this origin' -r -f -a "remote\t'Another node of the fleet'
automatic\t'A rule, or a route found at start'
manual\t'An operator'
forced\t'An operator, with `--force`'"
complete -c sipward -n "__fish_sipward_using_subcommand banned" -l state -d 'Only bans in this state in the kernel' -r -f -a "pending\t'The kernel has not answered yet'
enforced\t'Packets of the network are dropped'
ineffective\t'The route does not stop the packets'
failed\t'The kernel refused the route'"
complete -c sipward -n "__fish_sipward_using_subcommand banned" -l scope -d 'Only bans of this scope' -r -f -a "host\t'Everything, by a blackhole route and the gate'
sip\t'Packets to the SIP ports, by the gate'"
complete -c sipward -n "__fish_sipward_using_subcommand banned" -l search -d 'Only bans with this text in their network, users, user agent, report or comment' -r
complete -c sipward -n "__fish_sipward_using_subcommand banned" -l sort -d 'Sort key' -r -f -a "net\t'The network'
since\t'The start'
until\t'The end'"
complete -c sipward -n "__fish_sipward_using_subcommand banned" -l limit -d 'Bans to show' -r
complete -c sipward -n "__fish_sipward_using_subcommand banned" -l cursor -d 'Continue after the page that ended with this `next`' -r
complete -c sipward -n "__fish_sipward_using_subcommand banned" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand banned" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand banned" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand banned" -s r -l reverse -d 'The largest or latest first'
complete -c sipward -n "__fish_sipward_using_subcommand banned" -l all -d 'Show all pages'
complete -c sipward -n "__fish_sipward_using_subcommand banned" -l csv -d 'Write all bans as CSV, ordered by network'
complete -c sipward -n "__fish_sipward_using_subcommand banned" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand banned" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand banned" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand flows" -l limit -d 'Most flows to show, 1 to 1000' -r
complete -c sipward -n "__fish_sipward_using_subcommand flows" -l cursor -d 'Continue after the page that ended with this `next`' -r
complete -c sipward -n "__fish_sipward_using_subcommand flows" -l allow -d 'Allow this flow again, written as in the list: \'203.0.113.7 udp 41234\'' -r
complete -c sipward -n "__fish_sipward_using_subcommand flows" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand flows" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand flows" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand flows" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand flows" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand flows" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and not __fish_seen_subcommand_from status why distrust init help" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and not __fish_seen_subcommand_from status why distrust init help" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and not __fish_seen_subcommand_from status why distrust init help" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and not __fish_seen_subcommand_from status why distrust init help" -f -a "status" -d 'Show the link to the other nodes, and what each of them says'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and not __fish_seen_subcommand_from status why distrust init help" -f -a "why" -d 'Show what the nodes say of an address or a network, and what became of it here'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and not __fish_seen_subcommand_from status why distrust init help" -f -a "distrust" -d 'Set how far all nodes trust a node; needs an operator\'s credential'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and not __fish_seen_subcommand_from status why distrust init help" -f -a "init" -d 'Make the streams on the NATS servers; needs an operator\'s credential'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and not __fish_seen_subcommand_from status why distrust init help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from status" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from status" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from status" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from status" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from status" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from why" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from why" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from why" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from why" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from why" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from why" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from distrust" -l weight -d 'How much its bans count towards `fleet.quorum`, 0 to 16' -r
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from distrust" -s c -l config -d 'Configuration file with the servers of `[fleet]`; without it, /etc/sipward/sipward.toml' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from distrust" -l server -d 'Servers instead of those of the file: `nats://HOST:4222` or `tls://HOST:4222`' -r
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from distrust" -l as -d 'The operator\'s name: 1 to 32 of a-z, 0-9 and `-`' -r
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from distrust" -l credentials -d 'The operator\'s NATS credentials file, instead of `SIPWARD_FLEET_CREDENTIALS`' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from distrust" -l ca -d 'Certificates that the servers\' are signed with, instead of `fleet.ca`' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from distrust" -l certificate -d 'The operator\'s certificate, with `--key`' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from distrust" -l key -d 'The key of the certificate' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from distrust" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from distrust" -l shadow -d 'Only list its bans and make none; its exemptions and known phones still protect'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from distrust" -l accept -d 'Trust it again'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from distrust" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from distrust" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from init" -l replicas -d 'Servers that keep a copy: 1, 3 or 5' -r
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from init" -l max-mib -d 'Most room of the stream of bans, and of that of known phones, in MiB' -r
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from init" -s c -l config -d 'Configuration file with the servers of `[fleet]`; without it, /etc/sipward/sipward.toml' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from init" -l server -d 'Servers instead of those of the file: `nats://HOST:4222` or `tls://HOST:4222`' -r
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from init" -l as -d 'The operator\'s name: 1 to 32 of a-z, 0-9 and `-`' -r
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from init" -l credentials -d 'The operator\'s NATS credentials file, instead of `SIPWARD_FLEET_CREDENTIALS`' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from init" -l ca -d 'Certificates that the servers\' are signed with, instead of `fleet.ca`' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from init" -l certificate -d 'The operator\'s certificate, with `--key`' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from init" -l key -d 'The key of the certificate' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from init" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from init" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from init" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from help" -f -a "status" -d 'Show the link to the other nodes, and what each of them says'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from help" -f -a "why" -d 'Show what the nodes say of an address or a network, and what became of it here'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from help" -f -a "distrust" -d 'Set how far all nodes trust a node; needs an operator\'s credential'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from help" -f -a "init" -d 'Make the streams on the NATS servers; needs an operator\'s credential'
complete -c sipward -n "__fish_sipward_using_subcommand fleet; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sipward -n "__fish_sipward_using_subcommand ban" -l for -d 'Duration: 90s, 10m, 2h, 7d. Default: `ban_time` of the policy' -r
complete -c sipward -n "__fish_sipward_using_subcommand ban" -l reason -d 'The reason, shown in the list and in the history' -r
complete -c sipward -n "__fish_sipward_using_subcommand ban" -l scope -d 'What to block: everything, or only packets to the SIP ports, so that web, mail and SSH remain reachable. Default: `scope` of the policy' -r -f -a "host\t'Everything, by a blackhole route and the gate'
sip\t'Packets to the SIP ports, by the gate'"
complete -c sipward -n "__fish_sipward_using_subcommand ban" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand ban" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand ban" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand ban" -l permanent -d 'Ban until the ban is lifted'
complete -c sipward -n "__fish_sipward_using_subcommand ban" -l force -d 'Ban even if a safety check refuses. Loopback and this host\'s own addresses can never be banned'
complete -c sipward -n "__fish_sipward_using_subcommand ban" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand ban" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand ban" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand banip" -l for -d 'Duration: 90s, 10m, 2h, 7d. Default: `ban_time` of the policy' -r
complete -c sipward -n "__fish_sipward_using_subcommand banip" -l reason -d 'The reason, shown in the list and in the history' -r
complete -c sipward -n "__fish_sipward_using_subcommand banip" -l scope -d 'What to block: everything, or only packets to the SIP ports, so that web, mail and SSH remain reachable. Default: `scope` of the policy' -r -f -a "host\t'Everything, by a blackhole route and the gate'
sip\t'Packets to the SIP ports, by the gate'"
complete -c sipward -n "__fish_sipward_using_subcommand banip" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand banip" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand banip" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand banip" -l permanent -d 'Ban until the ban is lifted'
complete -c sipward -n "__fish_sipward_using_subcommand banip" -l force -d 'Ban even if a safety check refuses. Loopback and this host\'s own addresses can never be banned'
complete -c sipward -n "__fish_sipward_using_subcommand banip" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand banip" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand banip" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand unban" -l reason -d 'The reason, shown on the other nodes' -r
complete -c sipward -n "__fish_sipward_using_subcommand unban" -l server -d 'Servers instead of those of the file: `nats://HOST:4222` or `tls://HOST:4222`' -r
complete -c sipward -n "__fish_sipward_using_subcommand unban" -l as -d 'The operator\'s name: 1 to 32 of a-z, 0-9 and `-`' -r
complete -c sipward -n "__fish_sipward_using_subcommand unban" -l credentials -d 'The operator\'s NATS credentials file, instead of `SIPWARD_FLEET_CREDENTIALS`' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand unban" -l ca -d 'Certificates that the servers\' are signed with, instead of `fleet.ca`' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand unban" -l certificate -d 'The operator\'s certificate, with `--key`' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand unban" -l key -d 'The key of the certificate' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand unban" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand unban" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand unban" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand unban" -l all -d 'Lift all bans, and allow all denied flows again. Asks on a terminal; elsewhere it is refused without --yes'
complete -c sipward -n "__fish_sipward_using_subcommand unban" -s y -l yes -d 'Do not ask before all bans are lifted'
complete -c sipward -n "__fish_sipward_using_subcommand unban" -l fleet -d 'Lift the bans on all nodes of the fleet; needs an operator\'s credential. For an hour no node\'s ban of these networks is accepted elsewhere'
complete -c sipward -n "__fish_sipward_using_subcommand unban" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand unban" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand unban" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand unbanip" -l reason -d 'The reason, shown on the other nodes' -r
complete -c sipward -n "__fish_sipward_using_subcommand unbanip" -l server -d 'Servers instead of those of the file: `nats://HOST:4222` or `tls://HOST:4222`' -r
complete -c sipward -n "__fish_sipward_using_subcommand unbanip" -l as -d 'The operator\'s name: 1 to 32 of a-z, 0-9 and `-`' -r
complete -c sipward -n "__fish_sipward_using_subcommand unbanip" -l credentials -d 'The operator\'s NATS credentials file, instead of `SIPWARD_FLEET_CREDENTIALS`' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand unbanip" -l ca -d 'Certificates that the servers\' are signed with, instead of `fleet.ca`' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand unbanip" -l certificate -d 'The operator\'s certificate, with `--key`' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand unbanip" -l key -d 'The key of the certificate' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand unbanip" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand unbanip" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand unbanip" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand unbanip" -l all -d 'Lift all bans, and allow all denied flows again. Asks on a terminal; elsewhere it is refused without --yes'
complete -c sipward -n "__fish_sipward_using_subcommand unbanip" -s y -l yes -d 'Do not ask before all bans are lifted'
complete -c sipward -n "__fish_sipward_using_subcommand unbanip" -l fleet -d 'Lift the bans on all nodes of the fleet; needs an operator\'s credential. For an hour no node\'s ban of these networks is accepted elsewhere'
complete -c sipward -n "__fish_sipward_using_subcommand unbanip" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand unbanip" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand unbanip" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand why" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand why" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand why" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand why" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand why" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand why" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand whois" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand whois" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand whois" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand whois" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand whois" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand whois" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand allow; and not __fish_seen_subcommand_from list add remove help" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand allow; and not __fish_seen_subcommand_from list add remove help" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand allow; and not __fish_seen_subcommand_from list add remove help" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand allow; and not __fish_seen_subcommand_from list add remove help" -f -a "list" -d 'List the entries of the configuration file and those added at run time'
complete -c sipward -n "__fish_sipward_using_subcommand allow; and not __fish_seen_subcommand_from list add remove help" -f -a "add" -d 'Never ban addresses, networks or DNS names again, and lift the bans that cover them'
complete -c sipward -n "__fish_sipward_using_subcommand allow; and not __fish_seen_subcommand_from list add remove help" -f -a "remove" -d 'Remove an entry that was added at run time. Entries of the file can only be changed there'
complete -c sipward -n "__fish_sipward_using_subcommand allow; and not __fish_seen_subcommand_from list add remove help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from list" -l limit -d 'Entries to show' -r
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from list" -l cursor -d 'Continue after the page that ended with this `next`' -r
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from list" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from list" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from list" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from list" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from list" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from add" -l comment -d 'A comment, shown in the list' -r
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from add" -l for -d 'For how long: 90s, 10m, 2h, 7d. Without it, for good' -r
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from add" -l until -d 'Until when: a day, over before its 00:00 UTC (2026-12-01), or a time (2026-12-01T18:00:00Z)' -r
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from add" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from add" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from add" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from add" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from add" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from remove" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from remove" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from remove" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from remove" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from remove" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the entries of the configuration file and those added at run time'
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from help" -f -a "add" -d 'Never ban addresses, networks or DNS names again, and lift the bans that cover them'
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove an entry that was added at run time. Entries of the file can only be changed there'
complete -c sipward -n "__fish_sipward_using_subcommand allow; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sipward -n "__fish_sipward_using_subcommand history" -l event -d 'Only decisions of this kind' -r -f -a "ban\t'A ban'
unban\t'A ban ended'
refused\t'A ban was refused'
flow-denied\t'A flow was denied'
flow-allowed\t'A flow was allowed again'"
complete -c sipward -n "__fish_sipward_using_subcommand history" -l since -l from -d 'Not before this time: 1h, yesterday, 2026-11-29, 2026-11-29T10:00 (local time; with --utc UTC)' -r
complete -c sipward -n "__fish_sipward_using_subcommand history" -l until -l to -d 'Not after this time' -r
complete -c sipward -n "__fish_sipward_using_subcommand history" -l limit -d 'Decisions to show' -r
complete -c sipward -n "__fish_sipward_using_subcommand history" -l cursor -d 'Continue after the page that ended with this `next`' -r
complete -c sipward -n "__fish_sipward_using_subcommand history" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand history" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand history" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand history" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand history" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand history" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand stats" -l since -d 'Not before this time: 1h, yesterday, 2026-11-29, 2026-11-29T10:00; at most 366 days ago' -r
complete -c sipward -n "__fish_sipward_using_subcommand stats" -l until -d 'Not after this time' -r
complete -c sipward -n "__fish_sipward_using_subcommand stats" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand stats" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand stats" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand stats" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand stats" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand stats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand tail" -s e -l event -d 'Only events of these kinds, by their names in the log: `ban,unban,auth_failure`' -r
complete -c sipward -n "__fish_sipward_using_subcommand tail" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand tail" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand tail" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand tail" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand tail" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand tail" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand mode" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand mode" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand mode" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand mode" -s y -l yes -d 'Do not ask'
complete -c sipward -n "__fish_sipward_using_subcommand mode" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand mode" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand mode" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and not __fish_seen_subcommand_from show set reset add-agent remove-agent help" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand policy; and not __fish_seen_subcommand_from show set reset add-agent remove-agent help" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and not __fish_seen_subcommand_from show set reset add-agent remove-agent help" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and not __fish_seen_subcommand_from show set reset add-agent remove-agent help" -f -a "show" -d 'Show every value and its origin'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and not __fish_seen_subcommand_from show set reset add-agent remove-agent help" -f -a "set" -d 'Change values while the daemon runs. They take precedence over the configuration file until they are reset'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and not __fish_seen_subcommand_from show set reset add-agent remove-agent help" -f -a "reset" -d 'Undo a change: return to the configuration file'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and not __fish_seen_subcommand_from show set reset add-agent remove-agent help" -f -a "add-agent" -d 'Add a pattern to the user agents that are banned at the first failure'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and not __fish_seen_subcommand_from show set reset add-agent remove-agent help" -f -a "remove-agent" -d 'Remove a pattern from this list'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and not __fish_seen_subcommand_from show set reset add-agent remove-agent help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from show" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from show" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from show" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from show" -l changed -d 'Only values that differ from their default'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from show" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from show" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from set" -l max-failures -d 'Failures within the window before a ban' -r
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from set" -l window -d 'Length of the window: 90s, 10m, 2h' -r
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from set" -l ban-time -d 'Length of the first ban: 10m, 2h, 7d' -r
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from set" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from set" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from set" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from set" -l until-restart -d 'Only until the next restart'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from set" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from set" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from reset" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from reset" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from reset" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from reset" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from reset" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from reset" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from add-agent" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from add-agent" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from add-agent" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from add-agent" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from add-agent" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from add-agent" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from remove-agent" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from remove-agent" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from remove-agent" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from remove-agent" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from remove-agent" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from remove-agent" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show every value and its origin'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "set" -d 'Change values while the daemon runs. They take precedence over the configuration file until they are reset'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "reset" -d 'Undo a change: return to the configuration file'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "add-agent" -d 'Add a pattern to the user agents that are banned at the first failure'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "remove-agent" -d 'Remove a pattern from this list'
complete -c sipward -n "__fish_sipward_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sipward -n "__fish_sipward_using_subcommand token; and not __fish_seen_subcommand_from add list revoke link end-sessions help" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand token; and not __fish_seen_subcommand_from add list revoke link end-sessions help" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand token; and not __fish_seen_subcommand_from add list revoke link end-sessions help" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand token; and not __fish_seen_subcommand_from add list revoke link end-sessions help" -f -a "add" -d 'Create a token for a person or a program. Its secret is shown only once'
complete -c sipward -n "__fish_sipward_using_subcommand token; and not __fish_seen_subcommand_from add list revoke link end-sessions help" -f -a "list" -d 'List the tokens, without their secrets'
complete -c sipward -n "__fish_sipward_using_subcommand token; and not __fish_seen_subcommand_from add list revoke link end-sessions help" -f -a "revoke" -d 'Revoke a token. Its sessions end immediately'
complete -c sipward -n "__fish_sipward_using_subcommand token; and not __fish_seen_subcommand_from add list revoke link end-sessions help" -f -a "link" -d 'Create a link that logs a browser in once'
complete -c sipward -n "__fish_sipward_using_subcommand token; and not __fish_seen_subcommand_from add list revoke link end-sessions help" -f -a "end-sessions" -d 'End all browser sessions. Tokens remain valid'
complete -c sipward -n "__fish_sipward_using_subcommand token; and not __fish_seen_subcommand_from add list revoke link end-sessions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from add" -l scope -d 'Its scope' -r -f -a "read\t'Look, and try what would happen'
write\t'Ban, unban, allow, change the policy too'"
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from add" -l expires -d 'Its lifetime: 1h, 90d. Default: until it is revoked' -r
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from add" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from add" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from add" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from add" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from add" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from list" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from list" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from list" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from list" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from list" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from revoke" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from revoke" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from revoke" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from revoke" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from revoke" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from link" -l scope -d 'The scope of its session' -r -f -a "read\t'Look, and try what would happen'
write\t'Ban, unban, allow, change the policy too'"
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from link" -l for -d 'How long the link is valid: 30s, 10m, at most 1d' -r
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from link" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from link" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from link" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from link" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from link" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from link" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from end-sessions" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from end-sessions" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from end-sessions" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from end-sessions" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from end-sessions" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from end-sessions" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from help" -f -a "add" -d 'Create a token for a person or a program. Its secret is shown only once'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the tokens, without their secrets'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from help" -f -a "revoke" -d 'Revoke a token. Its sessions end immediately'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from help" -f -a "link" -d 'Create a link that logs a browser in once'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from help" -f -a "end-sessions" -d 'End all browser sessions. Tokens remain valid'
complete -c sipward -n "__fish_sipward_using_subcommand token; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sipward -n "__fish_sipward_using_subcommand watch" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand watch" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand watch" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand watch" -l json -d 'Print each event as a line of JSON instead, as `sipward tail --json` does'
complete -c sipward -n "__fish_sipward_using_subcommand watch" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand watch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand reload" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand reload" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand reload" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand reload" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand reload" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand reload" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand doctor" -s c -l config -d 'Configuration file; without it, /etc/sipward/sipward.toml if it exists. Credentials are looked for in the environment, then beside it (`esl-password`, `environment`)' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand doctor" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand doctor" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand doctor" -l json -d 'Print JSON, for monitoring'
complete -c sipward -n "__fish_sipward_using_subcommand doctor" -l no-wait -d 'Do not wait for a HEARTBEAT'
complete -c sipward -n "__fish_sipward_using_subcommand doctor" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand notify; and not __fish_seen_subcommand_from test help" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand notify; and not __fish_seen_subcommand_from test help" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand notify; and not __fish_seen_subcommand_from test help" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand notify; and not __fish_seen_subcommand_from test help" -f -a "test" -d 'Send a test mail to each recipient and a test event to each webhook, and report delivery or the error'
complete -c sipward -n "__fish_sipward_using_subcommand notify; and not __fish_seen_subcommand_from test help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sipward -n "__fish_sipward_using_subcommand notify; and __fish_seen_subcommand_from test" -s c -l config -d 'Configuration file; without it, /etc/sipward/sipward.toml if it exists. `SMTP_USER`, `SMTP_PASSWORD` and `WEBHOOK_SECRET` are looked for in the environment, then beside it (`environment`, `smtp-password`, `webhook-secret`)' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand notify; and __fish_seen_subcommand_from test" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand notify; and __fish_seen_subcommand_from test" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand notify; and __fish_seen_subcommand_from test" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand notify; and __fish_seen_subcommand_from help" -f -a "test" -d 'Send a test mail to each recipient and a test event to each webhook, and report delivery or the error'
complete -c sipward -n "__fish_sipward_using_subcommand notify; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sipward -n "__fish_sipward_using_subcommand support" -s o -l output -d 'The file to write, which must not exist; `-` writes to standard output. Default: sipward-support-TIME.txt in this directory' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand support" -s c -l config -d 'Configuration file; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand support" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand support" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand support" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand support" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand import; and not __fish_seen_subcommand_from fail2ban list help" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand import; and not __fish_seen_subcommand_from fail2ban list help" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand import; and not __fish_seen_subcommand_from fail2ban list help" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand import; and not __fish_seen_subcommand_from fail2ban list help" -f -a "fail2ban" -d 'Read fail2ban\'s jails for SIP (ignoreip, maxretry, findtime, bantime and its increments, ports) and the bans in effect'
complete -c sipward -n "__fish_sipward_using_subcommand import; and not __fish_seen_subcommand_from fail2ban list help" -f -a "list" -d 'Ban the addresses and networks of a list, or allow them'
complete -c sipward -n "__fish_sipward_using_subcommand import; and not __fish_seen_subcommand_from fail2ban list help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from fail2ban" -l dir -d 'fail2ban\'s configuration' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from fail2ban" -l database -d 'fail2ban\'s database; without it, the one that fail2ban.conf names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from fail2ban" -l jail -d 'A jail to import; may be repeated. Default: all enabled jails that watch SIP' -r
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from fail2ban" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from fail2ban" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from fail2ban" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from fail2ban" -l apply -d 'Send the allow list, policy and bans to the running daemon, which stores them'
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from fail2ban" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from fail2ban" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from fail2ban" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from list" -l for -d 'For how long: 90s, 10m, 2h, 7d. Without it, the policy\'s `ban_time`, or for good on the allow list' -r
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from list" -l reason -d 'Why, for anyone who reads it later' -r
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from list" -l scope -d 'What the bans stop; without it, the policy\'s `scope`' -r -f -a "host\t'Everything, by a blackhole route and the gate'
sip\t'Packets to the SIP ports, by the gate'"
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from list" -l comment -d 'A comment for each entry of the allow list' -r
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from list" -l socket -d 'The daemon\'s socket; without it, the one that the configuration file names' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from list" -s c -l config -d 'Configuration file that names the socket; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from list" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from list" -l permanent -d 'Permanent: no end'
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from list" -l allow -d 'Put them on the allow list instead; DNS names may be among them'
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from list" -l json -d 'Print the API\'s answer as JSON'
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from list" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from help" -f -a "fail2ban" -d 'Read fail2ban\'s jails for SIP (ignoreip, maxretry, findtime, bantime and its increments, ports) and the bans in effect'
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from help" -f -a "list" -d 'Ban the addresses and networks of a list, or allow them'
complete -c sipward -n "__fish_sipward_using_subcommand import; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sipward -n "__fish_sipward_using_subcommand record" -l max-size -d 'Size at which a file is full, 1MiB to 1TiB' -r
complete -c sipward -n "__fish_sipward_using_subcommand record" -l keep -d 'Number of full files to keep, the newest' -r
complete -c sipward -n "__fish_sipward_using_subcommand record" -l for -d 'Stop after this time: 90s, 10m, 1h, 7d' -r
complete -c sipward -n "__fish_sipward_using_subcommand record" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand record" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand record" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand replay" -s c -l config -d 'The policy: a configuration file; without it, /etc/sipward/sipward.toml if it exists' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand replay" -l compare -d 'A second policy, to compare with' -r -F
complete -c sipward -n "__fish_sipward_using_subcommand replay" -l utc-offset -d 'Offset of the log files\' local time from UTC: `+02:00`, `-05:00`. Default: this host\'s time zone. Recordings do not need it' -r
complete -c sipward -n "__fish_sipward_using_subcommand replay" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand replay" -l json -d 'Print everything as one JSON object'
complete -c sipward -n "__fish_sipward_using_subcommand replay" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand replay" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sipward -n "__fish_sipward_using_subcommand completions" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand completions" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand completions" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand demo" -l color -d 'When to colour text. `auto`: on a terminal, unless `NO_COLOR` is set' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`'
always\t'Also into a pipe or a file'
never\t'Never'"
complete -c sipward -n "__fish_sipward_using_subcommand demo" -l forever -d 'Run until interrupted instead of 20 s'
complete -c sipward -n "__fish_sipward_using_subcommand demo" -l utc -d 'Show and read times in UTC. Without it they are in local time on a terminal, and in UTC in a pipe'
complete -c sipward -n "__fish_sipward_using_subcommand demo" -s h -l help -d 'Print help'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "run" -d 'Run the daemon'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "check" -d 'Check the configuration and the credentials, and summarize them'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "flush" -d 'Remove every route, rule and table of sipward from the kernel, and end the stored bans'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "setup" -d 'Set sipward up: find FreeSWITCH, write the configuration, start observing'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "status" -d 'Show the state of the daemon'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "bans" -d 'List the active bans'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "flows" -d 'List the denied flows, or allow one again'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "fleet" -d 'Nodes that share their bans'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "ban" -d 'Ban addresses or networks'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "unban" -d 'Lift bans'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "why" -d 'Show why an address is banned or not'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "whois" -d 'Show the owner of an address: its name, country and network, and the answer of its registry'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "allow" -d 'Show and change the allow list: hosts that no rule bans'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "history" -d 'Show past decisions: bans, unbans and refusals, newest first'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "stats" -d 'Show how many bans there were: by rule, by country, by day'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "tail" -d 'Print events as they happen, one line each, as in the log'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "mode" -d 'Show the mode and what it would block, or change it'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "policy" -d 'Show and change the policy'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "token" -d 'Manage access to the API and the console on TCP (`[http]` in the configuration file)'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "watch" -d 'Show live events: the connection, rates, the newest bans, the busiest sources'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "reload" -d 'Reload the configuration file. Bans, counts and changes at run time are kept'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "doctor" -d 'Check everything that sipward needs, with advice for each problem'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "notify" -d 'Test mail and webhooks'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "support" -d 'Write a file for a support request: versions, configuration, checks, state, alarms, decisions'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "import" -d 'Import settings and bans of another program'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "record" -d 'Record what FreeSWITCH sends on its Event Socket, for `replay`'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "replay" -d 'Test a policy with recordings or log files: show what it would have banned, and why'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "completions" -d 'Print the completions for a shell: `sipward completions bash > /etc/bash_completion.d/sipward`'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "demo" -d 'Show sipward during an attack: needs no root and no FreeSWITCH, and changes nothing on this host'
complete -c sipward -n "__fish_sipward_using_subcommand help; and not __fish_seen_subcommand_from run check flush setup status bans flows fleet ban unban why whois allow history stats tail mode policy token watch reload doctor notify support import record replay completions demo help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sipward -n "__fish_sipward_using_subcommand help; and __fish_seen_subcommand_from fleet" -f -a "status" -d 'Show the link to the other nodes, and what each of them says'
complete -c sipward -n "__fish_sipward_using_subcommand help; and __fish_seen_subcommand_from fleet" -f -a "why" -d 'Show what the nodes say of an address or a network, and what became of it here'
complete -c sipward -n "__fish_sipward_using_subcommand help; and __fish_seen_subcommand_from fleet" -f -a "distrust" -d 'Set how far all nodes trust a node; needs an operator\'s credential'
complete -c sipward -n "__fish_sipward_using_subcommand help; and __fish_seen_subcommand_from fleet" -f -a "init" -d 'Make the streams on the NATS servers; needs an operator\'s credential'
complete -c sipward -n "__fish_sipward_using_subcommand help; and __fish_seen_subcommand_from allow" -f -a "list" -d 'List the entries of the configuration file and those added at run time'
complete -c sipward -n "__fish_sipward_using_subcommand help; and __fish_seen_subcommand_from allow" -f -a "add" -d 'Never ban addresses, networks or DNS names again, and lift the bans that cover them'
complete -c sipward -n "__fish_sipward_using_subcommand help; and __fish_seen_subcommand_from allow" -f -a "remove" -d 'Remove an entry that was added at run time. Entries of the file can only be changed there'
complete -c sipward -n "__fish_sipward_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "show" -d 'Show every value and its origin'
complete -c sipward -n "__fish_sipward_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "set" -d 'Change values while the daemon runs. They take precedence over the configuration file until they are reset'
complete -c sipward -n "__fish_sipward_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "reset" -d 'Undo a change: return to the configuration file'
complete -c sipward -n "__fish_sipward_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "add-agent" -d 'Add a pattern to the user agents that are banned at the first failure'
complete -c sipward -n "__fish_sipward_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "remove-agent" -d 'Remove a pattern from this list'
complete -c sipward -n "__fish_sipward_using_subcommand help; and __fish_seen_subcommand_from token" -f -a "add" -d 'Create a token for a person or a program. Its secret is shown only once'
complete -c sipward -n "__fish_sipward_using_subcommand help; and __fish_seen_subcommand_from token" -f -a "list" -d 'List the tokens, without their secrets'
complete -c sipward -n "__fish_sipward_using_subcommand help; and __fish_seen_subcommand_from token" -f -a "revoke" -d 'Revoke a token. Its sessions end immediately'
complete -c sipward -n "__fish_sipward_using_subcommand help; and __fish_seen_subcommand_from token" -f -a "link" -d 'Create a link that logs a browser in once'
complete -c sipward -n "__fish_sipward_using_subcommand help; and __fish_seen_subcommand_from token" -f -a "end-sessions" -d 'End all browser sessions. Tokens remain valid'
complete -c sipward -n "__fish_sipward_using_subcommand help; and __fish_seen_subcommand_from notify" -f -a "test" -d 'Send a test mail to each recipient and a test event to each webhook, and report delivery or the error'
complete -c sipward -n "__fish_sipward_using_subcommand help; and __fish_seen_subcommand_from import" -f -a "fail2ban" -d 'Read fail2ban\'s jails for SIP (ignoreip, maxretry, findtime, bantime and its increments, ports) and the bans in effect'
complete -c sipward -n "__fish_sipward_using_subcommand help; and __fish_seen_subcommand_from import" -f -a "list" -d 'Ban the addresses and networks of a list, or allow them'
