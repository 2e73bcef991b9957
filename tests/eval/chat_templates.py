"""The chat templates of model families, shortened to what a question needs."""

QWEN = """{% for m in messages %}{{'<|im_start|>'+m['role']+'\n'}}{% if m['content'] is string %}{{m['content']}}\
{% else %}{% for c in m['content'] %}{% if c['type']=='image' %}<|vision_start|><|image_pad|><|vision_end|>\
{% elif c['type']=='video' %}<|vision_start|><|video_pad|><|vision_end|>{% else %}{{c['text']}}{% endif %}\
{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
OMNI = (
    QWEN.replace("vision_start", "vision_bos")
    .replace("vision_end", "vision_eos")
    .replace("<|image_pad|>", "<|IMAGE|>")
    .replace("<|video_pad|>", "<|VIDEO|>")
)
LLAMA3 = """<|begin_of_text|>{% for m in messages %}{{'<|start_header_id|>'+m['role']+'<|end_header_id|>\n\n'}}\
{% if m['content'] is string %}{{m['content']}}{% else %}{% for c in m['content'] %}{% if c['type']=='image' %}\
<|image|>{% else %}{{c['text']}}{% endif %}{% endfor %}{% endif %}<|eot_id|>{% endfor %}\
{% if add_generation_prompt %}{{'<|start_header_id|>assistant<|end_header_id|>\n\n'}}{% endif %}"""
MISTRAL = """<s>{% for m in messages %}{% if m['role']=='user' %}[INST] {{m['content']}} [/INST]\
{% elif m['role']=='assistant' %}{{m['content']}}</s>\
{% else %}{{raise_exception('Only user and assistant roles are supported!')}}{% endif %}{% endfor %}"""
_LLAVA_VIDEO = """{% for c in m['content']|selectattr('type','equalto','video') %}{{'<video>\n'}}{% endfor %}"""
LLAVA_VIDEO = (
    """{% for m in messages %}{% if m['role']!='system' %}{{m['role'].upper()+': '}}{% endif %}\
{% for c in m['content']|selectattr('type','equalto','image') %}{{'<image>\n'}}{% endfor %}"""
    + _LLAVA_VIDEO
    + """{% for c in m['content']|selectattr('type','equalto','text') %}{{c['text']+' '}}{% endfor %}{% endfor %}\
{% if add_generation_prompt %}ASSISTANT:{% endif %}"""
)
LLAVA = LLAVA_VIDEO.replace(_LLAVA_VIDEO, "")
INTERNVL = """{% for m in messages %}{{'<|im_start|>'+m['role']+'\n'}}{% if m['content'] is string %}{{m['content']}}\
{% else %}{% for c in m['content'] %}{% if c['type']=='image' %}{{'<IMG_CONTEXT>\n'}}\
{% elif c['type']=='video' %}{{'<video>\n'}}{% else %}{{c['text']}}{% endif %}{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
GEMMA3 = """<bos>{% for m in messages %}<start_of_turn>{{'model' if m['role']=='assistant' else m['role']}}
{% if m['content'] is string %}{{m['content'] | trim}}{% else %}{% for c in m['content'] %}{% if c['type']=='image' %}\
<start_of_image>{% elif c['type']=='text' %}{{c['text'] | trim}}{% endif %}{% endfor %}{% endif %}<end_of_turn>
{% endfor %}{% if add_generation_prompt %}<start_of_turn>model
{% endif %}"""
IDEFICS = """<|im_start|>{% for m in messages %}{{m['role']|capitalize}}\
{% if m['content'][0]['type']=='image' %}{{':'}}\
{% else %}{{': '}}{% endif %}{% for c in m['content'] %}{% if c['type']=='text' %}{{c['text']}}\
{% elif c['type']=='image' %}{{'<image>'}}{% endif %}{% endfor %}<end_of_utterance>
{% endfor %}{% if add_generation_prompt %}{{'Assistant:'}}{% endif %}"""
