#!/bin/sh
# install.sh [install|remove|purge]: for systems that take neither the .deb nor the .rpm. Installs or upgrades what
# lies beside this script, also to an older version; removes it; removes it with configuration and store. Needs root
# and systemd 247 or newer.
set -eu

cd "$(dirname "$0")"
# What it installed.
readonly LIST=/usr/lib/sipward/files

fail() {
  echo "install.sh: $1" >&2
  exit 1
}

booted() {
  [ -d /run/systemd/system ]
}

install_it() {
  new=
  [ -e "$LIST" ] || new=new
  # Not over the running program, but beside it.
  cp -R --remove-destination --preserve=mode usr/. /usr/
  find usr -type f | sed 's|^|/|' >"$LIST"
  mkdir -p /etc/sipward
  if [ ! -e /etc/sipward/sipward.toml ]; then
    cp etc/sipward/sipward.toml /etc/sipward/
  elif ! cmp -s etc/sipward/sipward.toml /etc/sipward/sipward.toml; then
    cp etc/sipward/sipward.toml /etc/sipward/sipward.toml.new
    echo "sipward: your sipward.toml was kept; the new one is /etc/sipward/sipward.toml.new" >&2
  fi
  /usr/lib/sipward/prepare $new
  if [ -n "$new" ] && [ -e /etc/sipward/esl-password ]; then
    systemctl enable sipward.service
    ! booted || systemctl daemon-reload
    ! booted || systemctl start sipward.service
  elif booted; then
    systemctl daemon-reload
    # Routes and gate stay in the kernel during a restart.
    systemctl try-restart sipward.service
  fi
}

remove_it() {
  [ -e "$LIST" ] || fail "it is not installed by this script"
  ! booted || systemctl stop sipward.service
  systemctl disable sipward.service || true
  # Nothing would end the bans any more.
  sipward flush --config /etc/sipward/sipward.toml
  xargs rm -f <"$LIST"
  rm -rf /usr/lib/sipward /usr/share/doc/sipward
  ! booted || systemctl daemon-reload
}

[ "$(id -u)" = 0 ] || fail "only root can do this"
! dpkg -S /usr/bin/sipward >/dev/null 2>&1 || fail "the .deb is installed: use it"
! rpm -qf /usr/bin/sipward >/dev/null 2>&1 || fail "the .rpm is installed: use it"

case ${1-install} in
  install) install_it ;;
  remove) remove_it ;;
  purge)
    remove_it
    rm -rf /etc/sipward /var/lib/sipward
    ! getent passwd sipward >/dev/null || userdel sipward
    ;;
  *) fail "install.sh [install|remove|purge]" ;;
esac
