#!/bin/sh
# The tests of downloads and uploads with other versions of the Hub's client, each in a virtual environment of its own that
# sees the packages of the one it is called with: tests/hub_clients.sh PYTHON FOLDER [VERSIONS...]
set -eu
python=$1 folder=$2
shift 2
[ $# -gt 0 ] || set -- "huggingface-hub==1.0.*" "huggingface-hub>=1,<2" "huggingface-hub>=2,<3"
packages=$("$python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")
number=0
for wanted in "$@"; do
    number=$((number + 1))
    "$python" -m venv --clear "$folder/client$number"
    # Its own packages come first in the path, then those of the other.
    "$folder/client$number/bin/python" -m pip install --quiet "$wanted"
    own=$("$folder/client$number/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")
    echo "$packages" > "$own/zz_others.pth"
    "$folder/client$number/bin/python" -c "import huggingface_hub as hub; print('huggingface-hub', hub.__version__)"
    PYTHONPATH=. HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 "$folder/client$number/bin/python" -m pytest -p no:xdist \
        tests/test_hub.py tests/test_hub_loopback.py tests/train/publish
done
