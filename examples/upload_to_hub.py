"""Puts a checkpoint folder of your own on the Hugging Face Hub (log in first: hf auth login).

python examples/upload_to_hub.py my-cmac owner/my-cmac
"""

import sys

from cmac_hub import CMAC

folder, repository = sys.argv[1:]
CMAC.from_pretrained(f"local-dir:{folder}").push_to_hub(repository, model_card_kwargs={"repo_id": repository})
print(f"load it with: load_cmac('hf-hub:{repository}')")
